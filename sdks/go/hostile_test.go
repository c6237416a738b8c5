package llmlab

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// recordedSoon waits for steps that end in the background.
func recordedSoon(t *testing.T, client *Client, count int64) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for client.Stats().Recorded < count && time.Now().Before(deadline) {
		time.Sleep(2 * time.Millisecond)
	}
	flushed(t, client)
}

func TestCloseTwiceOrBeforeTheFirstReadEndsTheStepOnce(t *testing.T) {
	url, _ := provider(t, stream)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	response := ask(t, client, context.Background(), url, `{"model":"m","stream":true}`)
	var all sync.WaitGroup
	for n := 0; n < 8; n++ {
		all.Add(1)
		go func() { defer all.Done(); _ = response.Body.Close() }()
	}
	all.Wait()
	if _, err := response.Body.Read(make([]byte, 8)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after Close: %v", err)
	}
	recordedSoon(t, client, 1)
	if _, steps := server.count(); steps != 1 || client.Stats().Recorded != 1 {
		t.Errorf("%d steps, %+v", steps, client.Stats())
	}
	same(t, server.steps()["chat"]["usage"], object{"prompt_tokens": 10, "completion_tokens": 5})
}

func TestCloseWakesAReaderInAnotherGoroutine(t *testing.T) {
	hold := make(chan struct{})
	url, _ := provider(t, func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "text/event-stream")
		writer.(http.Flusher).Flush()
		<-hold
	})
	defer close(hold)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	response := ask(t, client, context.Background(), url, `{"model":"m","stream":true}`)
	reading, woken := make(chan struct{}), make(chan error)
	go func() {
		close(reading)
		_, err := response.Body.Read(make([]byte, 8))
		woken <- err
	}()
	<-reading
	time.Sleep(20 * time.Millisecond)
	_ = response.Body.Close()
	select {
	case err := <-woken:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(2 * time.Second):
		t.Fatal("the reader sleeps on")
	}
	recordedSoon(t, client, 1)
	step := server.steps()["chat"]
	if mapping(step["attributes"])["stopped_reading"] != true || step["status"] != "ok" {
		t.Errorf("%v", step)
	}
}

func TestCancelAfterCloseLeavesTheUsageAndATimeoutIsATimeout(t *testing.T) {
	url, _ := provider(t, stream)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	response := ask(t, client, ctx, url, `{"model":"m","stream":true}`)
	_ = response.Body.Close()
	cancel()
	recordedSoon(t, client, 1)
	same(t, server.steps()["chat"]["usage"], object{"prompt_tokens": 10, "completion_tokens": 5})

	slow, _ := provider(t, func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, slow, strings.NewReader(`{"model":"m","stream":true}`))
	_, err := (&http.Client{Transport: client.Transport(nil)}).Do(request)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	recordedSoon(t, client, 2)
	same(t, mapping(server.steps()["chat"]["error"])["type"], "timeout")
}

func TestShutdownDeliversAnswersThatAreStillReadOn(t *testing.T) {
	hold := make(chan struct{})
	url, _ := provider(t, func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "text/event-stream")
		writer.(http.Flusher).Flush()
		<-hold
	})
	defer close(hold)
	server := newLab(t, nil)
	client := server.client(t, Config{})
	_ = ask(t, client, context.Background(), url, `{"model":"m","stream":true}`).Body.Close()
	if !client.Shutdown(context.Background()) {
		t.Fatal("not flushed")
	}
	same(t, mapping(server.steps()["chat"]["attributes"])["stopped_reading"], true)
}

func TestPackedAnswersTheProgramAskedForStayWhole(t *testing.T) {
	url, _ := provider(t, func(writer http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Accept-Encoding") != "gzip" {
			stream(writer, request)
			return
		}
		writer.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(writer)
		_, _ = io.WriteString(packed, cannedAnswer)
		_ = packed.Close()
	})
	server := newLab(t, nil)
	client := server.client(t, Config{})
	for _, body := range []string{`{"model":"whole"}`, `{"model":"streamed","stream":true}`} {
		request, _ := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		request.Header.Set("Accept-Encoding", "gzip")
		response, err := client.Transport(nil).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if request.Header.Get("Accept-Encoding") != "gzip" {
			t.Error("the request was changed")
		}
		if isPacked := response.Header.Get("Content-Encoding") == "gzip"; isPacked != (raw[0] == 0x1f) {
			t.Errorf("%q is not what the header says", raw[:8])
		} else if !isPacked && strings.Contains(string(raw), "prompt_tokens") {
			t.Errorf("%s", raw)
		}
		flushed(t, client)
		same(t, server.steps()["chat"]["usage"], object{"prompt_tokens": 10, "completion_tokens": 5})
	}
}

func TestAnAnswerThatIsTooLargeIsNotTakenForWhole(t *testing.T) {
	long := strings.Repeat("x", maxRecorded)
	url, asked := provider(t, func(writer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(writer, `{"id":"c1","model":"m","usage":{"prompt_tokens":1}}`+strings.Repeat(" ", maxRecorded)+"!")
	})
	server := newLab(t, nil)
	client := server.client(t, Config{})
	response := ask(t, client, context.Background(), url, `{"model":"m"}`)
	raw, _ := io.ReadAll(response.Body)
	if len(raw) < maxRecorded || raw[len(raw)-1] != '!' {
		t.Errorf("the program got %d bytes", len(raw))
	}
	flushed(t, client)
	step := server.steps()["chat"]
	if step["usage"] != nil || mapping(step["attributes"])["not_recorded"] == nil || step["status"] != "ok" {
		t.Errorf("%v", step)
	}
	// A request of that size is sent as it is, with a known length or without.
	for _, body := range []io.Reader{strings.NewReader(`{"x":"` + long + `"}`), io.MultiReader(strings.NewReader(`{"x":"` + long + `"}`))} {
		request, _ := http.NewRequest(http.MethodPost, url, body)
		response, err := (&http.Client{Transport: client.Transport(nil)}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if sent := (*asked)[len(*asked)-1]; text(sent["x"]) != long {
			t.Errorf("%d bytes arrived", len(text(sent["x"])))
		}
	}
}

type closeCounter struct {
	io.Reader
	closed *atomic.Int32
}

func (c closeCounter) Close() error { c.closed.Add(1); return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestTheRequestIsNotChangedAndItsBodyAlwaysClosed(t *testing.T) {
	client := newLab(t, nil).client(t, Config{})
	spent, _ := client.Budget(context.Background(), "0", false)
	refusing := roundTripper(func(request *http.Request) (*http.Response, error) {
		_ = request.Body.Close()
		return nil, errors.New("refused")
	})
	for name, one := range map[string]struct {
		ctx  context.Context
		body io.Reader
	}{
		"refused": {context.Background(), strings.NewReader(`{"model":"m","stream":true}`)},
		"broken":  {context.Background(), brokenReader{}},
		"spent":   {spent, strings.NewReader("{}")},
	} {
		closed := &atomic.Int32{}
		request, _ := http.NewRequestWithContext(one.ctx, http.MethodPost, "http://x/v1/chat/completions", closeCounter{one.body, closed})
		before, body := request.Header.Clone(), request.Body
		if _, err := client.Transport(refusing).RoundTrip(request); err == nil {
			t.Errorf("%s: no error", name)
		}
		if closed.Load() != 1 || request.Body != body || request.ContentLength != 0 || fmt.Sprint(request.Header) != fmt.Sprint(before) {
			t.Errorf("%s: closed %d times, %+v", name, closed.Load(), request)
		}
	}
}

func TestOddAnswersOfTheTransportBelow(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	for name, answer := range map[string]*http.Response{"none": nil, "no body": {StatusCode: 200}} {
		below := roundTripper(func(*http.Request) (*http.Response, error) { return answer, nil })
		request, _ := http.NewRequest(http.MethodPost, "http://x/v1/chat/completions", nil)
		response, err := client.Transport(below).RoundTrip(request)
		if answer == nil != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if response != nil {
			_, _ = io.ReadAll(response.Body)
		}
	}
	flushed(t, client)
	if _, steps := server.count(); steps != 2 {
		t.Errorf("%d steps", steps)
	}
}

func TestARedirectedCallIsOneStep(t *testing.T) {
	url, _ := provider(t, func(writer http.ResponseWriter, request *http.Request) {
		if request.URL.RawQuery == "" {
			http.Redirect(writer, request, request.URL.Path+"?again", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(writer, cannedAnswer)
	})
	server := newLab(t, nil)
	client := server.client(t, Config{})
	ctx, budget := client.Budget(context.Background(), "1", true)
	response := ask(t, client, ctx, url, `{"model":"m"}`)
	_, _ = io.ReadAll(response.Body)
	_ = response.Body.Close()
	flushed(t, client)
	if _, steps := server.count(); steps != 1 || budget.check(ctx) != nil {
		t.Errorf("%d steps, %v", steps, budget.check(ctx))
	}
}

func TestHTTP2AndExpectContinue(t *testing.T) {
	provider := httptest.NewUnstartedServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		raw, _ := io.ReadAll(request.Body)
		if !bytes.Contains(raw, []byte("include_usage")) || request.ProtoMajor != 2 {
			t.Errorf("%s %s", request.Proto, raw)
		}
		stream(writer, request)
	}))
	provider.EnableHTTP2 = true
	provider.StartTLS()
	defer provider.Close()
	server := newLab(t, nil)
	client := server.client(t, Config{})
	request, _ := http.NewRequest(http.MethodPost, provider.URL+"/v1/chat/completions", strings.NewReader(`{"model":"m","stream":true}`))
	request.Header.Set("Expect", "100-continue")
	response, err := (&http.Client{Transport: client.Transport(provider.Client().Transport), Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !strings.HasSuffix(string(raw), "[DONE]\n\n") {
		t.Errorf("%v %s", err, raw)
	}
	flushed(t, client)
	same(t, server.steps()["chat"]["usage"], object{"prompt_tokens": 10, "completion_tokens": 5})
}

func TestOurOwnUploadsGoAroundWhateverReplacesTheDefaultTransport(t *testing.T) {
	real := http.DefaultTransport
	defer func() { http.DefaultTransport = real }()
	var seen atomic.Int32
	http.DefaultTransport = roundTripper(func(request *http.Request) (*http.Response, error) {
		seen.Add(1)
		return real.RoundTrip(request)
	})
	url, _ := provider(t, func(writer http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(writer, cannedAnswer) })
	server := newLab(t, nil)
	first := server.client(t, Config{})
	http.DefaultTransport = first.Transport(nil)
	http.DefaultTransport = first.Transport(nil) // twice changes nothing
	client := server.client(t, Config{})
	response, err := http.Post(url, "application/json", strings.NewReader(`{"model":"m"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(response.Body)
	_, step := client.Start(context.Background(), "own")
	step.End()
	flushed(t, first)
	flushed(t, client)
	if _, steps := server.count(); steps != 2 || seen.Load() != 1 {
		t.Errorf("%d steps, %d requests through the program's transport", steps, seen.Load())
	}
}
