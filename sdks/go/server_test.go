package llmlab

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// lab is LLMLab's JSON door in a test: it answers as told and keeps what it took.
type lab struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(number int) (status int, header map[string]string, body string)
	requests int
	items    []object
	scores   []object
	sizes    []int // steps per accepted request
	key      string
}

func newLab(t *testing.T, answer func(number int) (int, map[string]string, string)) *lab {
	l := &lab{answer: answer}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *lab) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	reader, err := gzip.NewReader(request.Body)
	if err != nil {
		writer.WriteHeader(400)
		return
	}
	raw, _ := io.ReadAll(reader)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.key = request.Header.Get("Authorization")
	if l.answer != nil {
		if status, header, body := l.answer(l.requests); status != 207 {
			for name, value := range header {
				writer.Header().Set(name, value)
			}
			writer.WriteHeader(status)
			_, _ = io.WriteString(writer, body)
			return
		}
	}
	body := objectOf(raw)
	results, steps := []object{}, 0
	for _, item := range objects(body["traces"]) {
		l.items = append(l.items, item)
		steps += len(objects(item["steps"]))
		results = append(results, object{"result": "stored", "cost_usd": "0.25", "unpriced_calls": 0})
	}
	for _, score := range objects(body["scores"]) {
		l.scores = append(l.scores, score)
		results = append(results, object{"result": "stored"})
	}
	l.sizes = append(l.sizes, steps)
	writer.WriteHeader(207)
	_ = json.NewEncoder(writer).Encode(object{"results": results})
}

// steps by their name, with what the item said of the trace under "item".
func (l *lab) steps() map[string]object {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]object{}
	for _, item := range l.items {
		trace := copied(item)
		delete(trace, "steps")
		for _, step := range objects(item["steps"]) {
			step["item"] = trace // without its steps: a circle could not be printed
			found[text(step["name"])] = step
		}
	}
	return found
}

func (l *lab) count() (requests, steps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, size := range l.sizes {
		steps += size
	}
	return l.requests, steps
}

func (l *lab) client(t *testing.T, config Config) *Client {
	config.APIKey, config.Project, config.BaseURL = "llmlab_sk_test", "shop", l.URL
	if config.Logger == nil {
		config.Logger = t.Logf
	}
	client := New(config)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		client.Shutdown(ctx)
	})
	return client
}

func flushed(t *testing.T, client *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if !client.Flush(ctx) {
		t.Fatalf("not flushed: %+v", client.Stats())
	}
}
