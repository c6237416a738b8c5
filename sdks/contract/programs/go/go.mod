module llmlab-contract

go 1.19

require github.com/llmlab/llmlab/sdks/go v0.0.0

replace github.com/llmlab/llmlab/sdks/go => ../../../go
