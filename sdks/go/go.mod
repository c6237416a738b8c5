module github.com/llmlab/llmlab/sdks/go

go 1.19
