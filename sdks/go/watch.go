package llmlab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// watched is an answer's body as the program reads it; what passes is recorded.
type watched struct {
	ctx      context.Context
	inner    io.ReadCloser
	step     *Step
	call     *call
	owner    *transport
	hides    bool // the usage chunk the caller did not ask for
	ready    []byte
	partial  []byte
	seen     int
	readErr  error
	mu       sync.Mutex
	finished bool
}

func (t *transport) watch(ctx context.Context, body io.ReadCloser, step *Step, made *call, hides bool) io.ReadCloser {
	return &watched{ctx: ctx, inner: body, step: step, call: made, owner: t, hides: hides}
}

func (w *watched) Read(into []byte) (int, error) {
	if !w.hides {
		n, err := w.inner.Read(into)
		w.take(into[:n])
		if err != nil {
			w.over(err)
		}
		return n, err
	}
	for len(w.ready) == 0 && w.readErr == nil {
		buffer := make([]byte, 8<<10)
		n, err := w.inner.Read(buffer)
		w.take(buffer[:n])
		w.partial = append(w.partial, buffer[:n]...)
		if err != nil {
			w.over(err)
			w.ready, w.partial, w.readErr = append(w.ready, w.partial...), nil, err
			break
		}
		w.pass()
	}
	n := copy(into, w.ready)
	w.ready = w.ready[n:]
	if n == 0 {
		return 0, w.readErr
	}
	return n, nil
}

// pass moves whole events on to the reader, but for the one that tells the usage.
func (w *watched) pass() {
	for {
		end := eventEnd(w.partial)
		if end < 0 {
			return
		}
		event := w.partial[:end]
		if !isUsageOnly(event) {
			w.ready = append(w.ready, event...)
		}
		w.partial = append([]byte(nil), w.partial[end:]...)
	}
}

func eventEnd(raw []byte) int {
	best := -1
	for _, end := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
		if at := bytes.Index(raw, []byte(end)); at >= 0 && (best < 0 || at+len(end) < best) {
			best = at + len(end)
		}
	}
	return best
}

func isUsageOnly(raw []byte) bool {
	if !bytes.Contains(raw, []byte(`"usage"`)) || !bytes.Contains(raw, []byte(`"choices"`)) {
		return false
	}
	for _, one := range eventsOf([]chunk{{raw: raw}}, "text/event-stream") {
		choices, isList := one.data["choices"].([]any)
		if isList && len(choices) == 0 && len(mapping(one.data["usage"])) > 0 {
			return true
		}
	}
	return false
}

// take keeps a copy of what came, with its time.
func (w *watched) take(raw []byte) {
	if len(raw) == 0 {
		return
	}
	if w.seen += len(raw); w.seen > maxRecorded {
		return
	}
	w.call.chunks = append(w.call.chunks, chunk{time.Now(), append([]byte(nil), raw...)})
}

// over: the answer has come to its end, good or bad. Only the first counts.
func (w *watched) over(err error) {
	w.mu.Lock()
	isSecond := w.finished
	w.finished = true
	w.mu.Unlock()
	if isSecond {
		return
	}
	if err != nil && !errors.Is(err, io.EOF) {
		w.call.failure = failureFrom(err)
	}
	w.owner.finish(w.step, w.call)
}

// Close lets the program go on at once. The rest of an answer that was not read is read in the background, for its
// usage: the provider bills it anyway. A cancelled context means that nothing more is wanted.
func (w *watched) Close() error {
	w.mu.Lock()
	isOver := w.finished
	w.mu.Unlock()
	drain := w.owner.client.settings.DrainTime
	if isOver || drain <= 0 || w.ctx.Err() != nil {
		err := w.inner.Close()
		w.over(nil)
		return err
	}
	go w.drain(drain)
	return nil
}

func (w *watched) drain(most time.Duration) {
	stop := time.AfterFunc(most, func() { _ = w.inner.Close() })
	defer stop.Stop()
	buffer := make([]byte, 16<<10)
	for {
		n, err := w.inner.Read(buffer)
		w.take(buffer[:n])
		if err != nil {
			break // the end, or what came until now
		}
	}
	_ = w.inner.Close()
	w.over(nil)
}
