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
	"strings"
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
	if ours, ok := base.(*transport); ok && ours.client == c {
		return ours // a call is recorded once
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
	if end == nil {
		return t.base.RoundTrip(request)
	}
	budget, _ := request.Context().Value(budgetKey).(*Budget)
	if end.shape == "batches" {
		budget = nil // its price is known when its answers come, elsewhere
	}
	if budget != nil {
		if err := budget.check(request.Context()); err != nil {
			closeBody(request)
			return nil, err
		}
	}
	if !t.client.isOn() {
		return t.base.RoundTrip(request)
	}
	body, rest, err := readBody(request)
	if err != nil {
		return nil, err
	}
	if t.client.settings.ServerBudgets && end.shape != "batches" {
		if err := t.client.limits.check(request.Context(), func() string { return modelOf(end, body) }); err != nil {
			if rest != nil {
				_ = rest.Close()
			}
			return nil, err
		}
	}
	step := t.client.newStep(request.Context(), end.operation, "llm")
	if budget != nil {
		step.budget = budget
		budget.begun()
	}
	t.client.opened(step)
	made := &call{method: request.Method, end: end, body: body, sentAt: time.Now()}
	if rest != nil {
		made.body = nil // larger than what is recorded
		sent := request.Clone(request.Context())
		sent.Body, sent.GetBody = rest, nil
		response, err := t.base.RoundTrip(sent)
		return t.answered(request, response, err, step, made)
	}
	return t.send(request, body, step, made)
}

// modelOf is the model a request names.
func modelOf(end *endpoint, body []byte) string {
	if named := text(objectOf(body)["model"]); named != "" {
		return named
	}
	return end.model
}

// send sends a request whose body is known.
func (t *transport) send(request *http.Request, body []byte, step *Step, made *call) (*http.Response, error) {
	ctx := request.Context()
	if !made.end.isStream && !bytes.Contains(body, []byte(`"stream"`)) {
		response, err := t.base.RoundTrip(withBody(ctx, request, body))
		return t.answered(request, response, err, step, made)
	}
	detachedCtx, letGo, release := detach(ctx)
	asked, hides := t.askForUsage(made.end, request.URL, body)
	sent := withBody(detachedCtx, request, body)
	if hides {
		sent = withBody(detachedCtx, request, asked)
		if sent.Header.Get("Accept-Encoding") != "" {
			sent.Header.Set("Accept-Encoding", "identity") // what is packed cannot be hidden
		}
	}
	response, err := t.base.RoundTrip(sent)
	if err == nil && response != nil && hides && response.StatusCode == http.StatusBadRequest {
		response, hides = t.withoutUsage(detachedCtx, request, response, body, made)
	}
	response, err = t.answered(request, response, causeOf(ctx, err), step, made)
	if err != nil || response == nil {
		release()
		return response, err
	}
	watched, ok := response.Body.(*watched)
	if !ok {
		release()
		return response, nil
	}
	watched.letGo, watched.release = letGo, release
	kind := response.Header.Get("Content-Type")
	isPacked := response.Header.Get("Content-Encoding") != ""
	if hides && response.StatusCode < 400 && strings.HasPrefix(kind, "text/event-stream") && !isPacked {
		watched.hides = true
		response.ContentLength = -1
		response.Header.Del("Content-Length")
	}
	return response, nil
}

// answered puts a watch on the answer, or ends the step where there is none to read.
func (t *transport) answered(
	request *http.Request, response *http.Response, err error, step *Step, made *call,
) (*http.Response, error) {
	switch {
	case err != nil || response == nil:
		if err == nil {
			err = errors.New("the transport below gave no answer")
		}
		made.failure = failureFrom(err)
		t.finish(step, made)
		return response, err
	case isRedirect(response) && t.client.inbox.forget(step):
		step.lost() // the call is the one the client makes to the other address
		return response, nil
	}
	if response.Body == nil {
		response.Body = http.NoBody
	}
	made.status, made.header = response.StatusCode, http.Header{}
	for _, name := range []string{"Content-Type", "Content-Encoding"} { // the program may change its headers
		if value := response.Header.Get(name); value != "" {
			made.header[name] = []string{value}
		}
	}
	response.Body = t.watch(response, request.Context(), step, made)
	return response, nil
}

func isRedirect(response *http.Response) bool {
	return response.StatusCode >= 300 && response.StatusCode < 400 && response.Header.Get("Location") != ""
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

// readBody reads the whole body and closes it; of one that is larger than what is recorded, rest is all of it, unread.
func readBody(request *http.Request) (body []byte, rest io.ReadCloser, err error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil, nil
	}
	if request.ContentLength > maxRecorded {
		return nil, request.Body, nil
	}
	var read bytes.Buffer
	if request.ContentLength > 0 {
		read.Grow(int(request.ContentLength) + bytes.MinRead)
	}
	if _, err = read.ReadFrom(io.LimitReader(request.Body, maxRecorded+1)); err != nil {
		closeBody(request)
		return nil, nil, err
	}
	if read.Len() > maxRecorded {
		return nil, joinedBody{io.MultiReader(&read, request.Body), request.Body}, nil
	}
	closeBody(request)
	return read.Bytes(), nil, nil
}

type joinedBody struct {
	io.Reader
	io.Closer
}

// withBody is the request with another body. The original is not changed, as RoundTrip must not.
func withBody(ctx context.Context, request *http.Request, body []byte) *http.Request {
	clone := request.Clone(ctx)
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
func (t *transport) withoutUsage(
	ctx context.Context, request *http.Request, refused *http.Response, body []byte, made *call,
) (*http.Response, bool) {
	if refused.Body == nil {
		return refused, false
	}
	said, _ := io.ReadAll(io.LimitReader(refused.Body, maxRecorded))
	_ = refused.Body.Close()
	refused.Body = io.NopCloser(bytes.NewReader(said))
	if !bytes.Contains(said, []byte("stream_options")) {
		return refused, false
	}
	t.plain.Store(request.URL.Host, true)
	made.sentAt = time.Now()
	response, err := t.base.RoundTrip(withBody(ctx, request, body))
	if err != nil || response == nil {
		return refused, false
	}
	return response, false
}

func (t *transport) finish(step *Step, made *call) {
	for _, one := range made.chunks {
		step.size += int64(len(one.raw))
	}
	step.size += int64(len(made.body))
	step.end(func() object { return stepOf(made) })
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
