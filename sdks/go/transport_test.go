package llmlab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const streamed = `data: {"id":"c1","model":"gpt-5-mini","choices":[{"index":0,"delta":{"role":"assistant","content":"On "}}],"usage":null}

data: {"id":"c1","model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"its way."},"finish_reason":"stop"}],"usage":null}

data: {"id":"c1","model":"gpt-5-mini","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}

data: [DONE]

`

// provider answers chat calls; what it was asked is in asked.
func provider(t *testing.T, answer http.HandlerFunc) (url string, asked *[]object) {
	asked = &[]object{}
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		raw, _ := io.ReadAll(request.Body)
		*asked = append(*asked, objectOf(raw))
		request.Body = io.NopCloser(strings.NewReader(string(raw)))
		answer(writer, request)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1/chat/completions", asked
}

func stream(writer http.ResponseWriter, _ *http.Request) {
	writer.Header().Set("Content-Type", "text/event-stream")
	for _, event := range strings.SplitAfter(streamed, "\n\n") {
		_, _ = io.WriteString(writer, event)
		writer.(http.Flusher).Flush()
		time.Sleep(5 * time.Millisecond)
	}
}

func ask(t *testing.T, client *Client, ctx context.Context, url, body string) *http.Response {
	t.Helper()
	with := &http.Client{Transport: client.Transport(nil)}
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	response, err := with.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestAStreamTellsItsUsageAndTheCallerSeesOnlyWhatItAskedFor(t *testing.T) {
	url, asked := provider(t, stream)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	response := ask(t, client, context.Background(), url, `{"model":"gpt-5-mini","stream":true,"messages":[]}`)
	raw, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || strings.Contains(string(raw), "prompt_tokens") || !strings.HasSuffix(string(raw), "data: [DONE]\n\n") {
		t.Errorf("%v: %s", err, raw)
	}
	same(t, (*asked)[0]["stream_options"], object{"include_usage": true})
	flushed(t, client)
	step := server.steps()["chat"]
	same(t, step["usage"], object{"prompt_tokens": 10, "completion_tokens": 5})
	same(t, step["output"], object{"role": "assistant", "content": "On its way."})
	if step["parameters"] != nil || step["time_to_first_token_ms"] == nil {
		t.Errorf("%v", step)
	}
}

func TestACallerThatAskedForTheUsageSeesIt(t *testing.T) {
	url, _ := provider(t, stream)
	client := newLab(t, nil).client(t, Config{})
	body := `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}`
	response := ask(t, client, context.Background(), url, body)
	raw, _ := io.ReadAll(response.Body)
	if !strings.Contains(string(raw), "prompt_tokens") {
		t.Errorf("%s", raw)
	}
}

func TestAReaderThatLeavesEarlyStillLeavesTheUsage(t *testing.T) {
	url, _ := provider(t, stream)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	response := ask(t, client, context.Background(), url, `{"model":"gpt-5-mini","stream":true,"messages":[]}`)
	_, _ = bufio.NewReader(response.Body).ReadString('\n')
	started := time.Now()
	_ = response.Body.Close()
	if time.Since(started) > 50*time.Millisecond {
		t.Error("Close waited")
	}
	deadline := time.Now().Add(10 * time.Second)
	for client.Stats().Recorded == 0 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	flushed(t, client)
	same(t, server.steps()["chat"]["usage"], object{"prompt_tokens": 10, "completion_tokens": 5})
}

func TestACancelledCallIsNotReadOn(t *testing.T) {
	url, _ := provider(t, stream)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	response := ask(t, client, ctx, url, `{"model":"m","stream":true,"messages":[]}`)
	cancel()
	_, _ = io.ReadAll(response.Body)
	_ = response.Body.Close()
	flushed(t, client)
	step := server.steps()["chat"]
	if step["usage"] != nil || mapping(step["error"])["type"] != "canceled" {
		t.Errorf("%v", step)
	}
}

func TestAServerWithoutStreamOptionsIsAskedAgainWithout(t *testing.T) {
	url, asked := provider(t, func(writer http.ResponseWriter, request *http.Request) {
		raw, _ := io.ReadAll(request.Body)
		if strings.Contains(string(raw), "stream_options") {
			writer.WriteHeader(400)
			_, _ = io.WriteString(writer, `{"error":{"message":"Unknown field: stream_options"}}`)
			return
		}
		stream(writer, request)
	})
	client := newLab(t, nil).client(t, Config{})
	with := &http.Client{Transport: client.Transport(nil)}
	for n := 0; n < 2; n++ {
		response, err := with.Post(url, "application/json", strings.NewReader(`{"model":"m","stream":true}`))
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%v %v", response, err)
		}
		_, _ = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if len(*asked) != 3 { // asked and refused, without, and never again with
		t.Errorf("%d requests", len(*asked))
	}
}

func TestFailuresAreRecorded(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	with := &http.Client{Transport: client.Transport(nil)}
	if _, err := with.Post("http://127.0.0.1:1/v1/chat/completions", "", strings.NewReader(`{"model":"m"}`)); err == nil {
		t.Fatal("no error")
	}
	flushed(t, client)
	same(t, mapping(server.steps()["chat"]["error"])["type"], "connection_error")
	same(t, server.steps()["chat"]["status"], "error")
	same(t, mapping(server.steps()["chat"]["item"])["status"], "error")
}

func TestContentIsLeftOutWhereAsked(t *testing.T) {
	url, _ := provider(t, stream)
	server := newLab(t, nil)
	client := server.client(t, Config{OmitContent: true})
	response := ask(t, client, context.Background(), url, `{"model":"m","stream":true,"messages":[{"role":"user","content":"secret"}]}`)
	_, _ = io.ReadAll(response.Body)
	_ = response.Body.Close()
	flushed(t, client)
	step := server.steps()["chat"]
	if step["input"] != nil || step["output"] != nil || step["usage"] == nil || step["model"] != "gpt-5-mini" {
		t.Errorf("%v", step)
	}
}

func TestABudgetRefusesTheNextCall(t *testing.T) {
	url, asked := provider(t, stream)
	server := newLab(t, nil) // each item costs 0.25
	client := server.client(t, Config{})
	ctx, budget := client.Budget(context.Background(), "0.50", false)
	with := &http.Client{Transport: client.Transport(nil)}
	var refused error
	made := 0
	for ; made < 5 && refused == nil; made++ {
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"model":"m","stream":true}`))
		response, err := with.Do(request)
		if err != nil {
			refused = err
			break
		}
		_, _ = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if !errors.Is(refused, ErrBudgetExceeded) || made != 2 || len(*asked) != 2 {
		t.Errorf("%v after %d calls, %d sent", refused, made, len(*asked))
	}
	same(t, budget.Spent(), "0.500000000000")
}

func TestServicesShareATrace(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	ctx, ask := client.Start(context.Background(), "ask")
	header := http.Header{}
	Inject(ctx, header)
	_, answer := client.Start(Extract(context.Background(), header), "answer")
	answer.End()
	ask.End()
	flushed(t, client)
	steps := server.steps()
	same(t, steps["answer"]["parent_id"], ask.ID())
	same(t, mapping(steps["answer"]["item"])["parent_id"], ask.ID())
	same(t, mapping(steps["answer"]["item"])["trace_id"], ask.TraceID())
	if fmt.Sprint(mapping(steps["answer"]["item"])["root_id"]) != answer.ID() {
		t.Error("the part has no root of its own")
	}
}
