package llmlab

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

type canned struct{ body string }

func (c canned) RoundTrip(request *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, request.Body)
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(strings.NewReader(c.body)), Request: request}, nil
}

const cannedAnswer = `{"id":"chatcmpl-1","model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"On its way."},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`

// BenchmarkCall is what a recorded call costs the program beside the call itself.
func BenchmarkCall(b *testing.B) {
	client := New(Config{Exporter: func(Item) {}})
	body := []byte(`{"model":"gpt-5-mini","messages":[{"role":"user","content":"Where is my refund?"}]}`)
	for name, transport := range map[string]http.RoundTripper{
		"bare": canned{cannedAnswer}, "recorded": client.Transport(canned{cannedAnswer}),
	} {
		b.Run(name, func(b *testing.B) {
			with := &http.Client{Transport: transport}
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				request, _ := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/chat/completions", bytes.NewReader(body))
				response, err := with.Do(request)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
}
