package llmlab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

const maxRecorded = 16 << 20 // bytes of a request or of an answer; what is larger is passed on and not recorded whole

// Transport records OpenAI- and Anthropic-shaped calls that go through it, streams too. A nil base is
// http.DefaultTransport. Give it to the http.Client of whatever client you use.
//
//	client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: llm.Transport(nil)}))
func (c *Client) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{client: c, base: base}
}

type transport struct {
	client *Client
	base   http.RoundTripper
	// Hosts that know no stream_options.
	plain sync.Map
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	end := endpointOf(request.Method, request.URL)
	if end == nil || !t.client.isOn() {
		return t.base.RoundTrip(request)
	}
	budget, _ := request.Context().Value(budgetKey).(*Budget)
	if budget != nil && end.shape != "batches" {
		if err := budget.check(request.Context()); err != nil {
			closeBody(request)
			return nil, err
		}
	}
	body, err := readBody(request)
	if err != nil {
		return nil, err
	}
	step := t.client.newStep(request.Context(), end.operation, "llm")
	step.omitContent = step.omitContent || t.client.settings.OmitContent
	made := &call{method: request.Method, url: request.URL, body: body}
	hides := false
	sent := withBody(request, body)
	if asked, changed := t.askForUsage(end, request.URL, body); changed {
		sent, hides = withBody(request, asked), true
	}
	if budget != nil {
		step.budget = budget
		budget.begun()
	}
	t.client.opened(step)
	made.sentAt = time.Now()
	response, err := t.base.RoundTrip(sent)
	if err == nil && hides && response.StatusCode == http.StatusBadRequest {
		response, hides = t.withoutUsage(request, response, body, made)
	}
	if err != nil {
		made.failure = failureFrom(err)
		t.finish(step, made)
		return response, err
	}
	made.status, made.header = response.StatusCode, response.Header
	response.Body = t.watch(request.Context(), response.Body, step, made, hides && response.StatusCode < 400)
	return response, nil
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

func readBody(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	defer request.Body.Close()
	return io.ReadAll(request.Body)
}

// withBody is the request with another body. The original is not changed, as RoundTrip must not.
func withBody(request *http.Request, body []byte) *http.Request {
	clone := request.Clone(request.Context())
	clone.ContentLength = int64(len(body))
	clone.Body = io.NopCloser(bytes.NewReader(body))
	clone.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if len(body) == 0 {
		clone.Body, clone.GetBody = http.NoBody, nil
	}
	return clone
}

// askForUsage adds what makes a chat stream tell its usage, unless the caller asked for it or the host knows no such thing.
func (t *transport) askForUsage(end *endpoint, address *url.URL, body []byte) ([]byte, bool) {
	if end.shape != "chat" || t.client.settings.OmitStreamUsage || !bytes.Contains(body, []byte(`"stream"`)) {
		return nil, false
	}
	if _, known := t.plain.Load(address.Host); known {
		return nil, false
	}
	parsed := objectOf(body)
	options := mapping(parsed["stream_options"])
	if parsed["stream"] != true || options["include_usage"] == true {
		return nil, false
	}
	if parsed["stream_options"] == nil && !bytes.Contains(body, []byte(`"stream_options"`)) {
		place := bytes.LastIndexByte(body, '}')
		asked := append(append([]byte{}, body[:place]...), `,"stream_options":{"include_usage":true}`...)
		return append(asked, body[place:]...), true
	}
	asked := copied(options)
	asked["include_usage"] = true
	parsed["stream_options"] = asked
	return encoded(parsed), true
}

// withoutUsage sends the request as the caller made it when the server refused because of what we added.
func (t *transport) withoutUsage(request *http.Request, refused *http.Response, body []byte, made *call) (*http.Response, bool) {
	said, _ := io.ReadAll(io.LimitReader(refused.Body, maxRecorded))
	_ = refused.Body.Close()
	refused.Body = io.NopCloser(bytes.NewReader(said))
	if !bytes.Contains(said, []byte("stream_options")) {
		return refused, false
	}
	t.plain.Store(request.URL.Host, true)
	made.sentAt = time.Now()
	response, err := t.base.RoundTrip(withBody(request, body))
	if err != nil {
		return refused, false
	}
	return response, false
}

func (t *transport) finish(step *Step, made *call) {
	for _, one := range made.chunks {
		step.size += int64(len(one.raw))
	}
	step.size += int64(len(made.body))
	omit := step.omitContent
	step.end(func() object {
		fields := stepOf(made)
		if omit {
			// The model and what it cost are facts; what was said is not kept, whatever it failed with.
			for _, name := range contents {
				delete(fields, name)
			}
		}
		delete(fields, "id")
		return fields
	})
}

func failureFrom(err error) *failure {
	kind := "connection_error"
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		kind = "canceled"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		kind = "timeout"
	case errors.As(err, &timeout) && timeout.Timeout():
		kind = "timeout"
	}
	return &failure{kind, err.Error()}
}
