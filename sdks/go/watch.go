package llmlab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const maxEvent = 1 << 20 // an event larger than this is passed on as it comes, whatever is in it

// watched is an answer's body as the program reads it; what passes is recorded.
type watched struct {
	ctx     context.Context // the program's
	inner   io.ReadCloser
	step    *Step
	call    *call
	owner   *transport
	letGo   func() // of the program's context
	release func() // of the context the request was sent with
	hides   bool   // the usage chunk the caller did not ask for
	ready   []byte
	partial []byte
	readErr error
	done    chan struct{} // closed once the step has ended

	mu        sync.Mutex
	seen      int
	isReading bool
	isClosed  bool
	isOver    bool
}

func (t *transport) watch(response *http.Response, ctx context.Context, step *Step, made *call) *watched {
	return &watched{
		ctx: ctx, inner: response.Body, step: step, call: made, owner: t, done: make(chan struct{}),
		letGo: func() {}, release: func() {},
	}
}

func (w *watched) Read(into []byte) (int, error) {
	w.mu.Lock()
	if w.isClosed {
		w.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	w.isReading = true
	w.mu.Unlock()
	var n int
	var err error
	if w.hides {
		n, err = w.readHiding(into)
	} else {
		n, err = w.readInner(into)
	}
	w.mu.Lock()
	w.isReading = false
	wasClosed := w.isClosed
	w.mu.Unlock()
	if wasClosed {
		w.over(nil) // Close left the end to us
	}
	return n, err
}

func (w *watched) readInner(into []byte) (int, error) {
	n, err := w.inner.Read(into)
	w.take(into[:n])
	if err != nil {
		err = causeOf(w.ctx, err)
		w.mu.Lock()
		wasClosed := w.isClosed
		w.mu.Unlock()
		if !wasClosed {
			w.over(err)
		}
	}
	return n, err
}

func (w *watched) readHiding(into []byte) (int, error) {
	for len(w.ready) == 0 && w.readErr == nil {
		buffer := make([]byte, 8<<10)
		n, err := w.readInner(buffer)
		w.partial = append(w.partial, buffer[:n]...)
		w.pass()
		if err != nil || len(w.partial) > maxEvent {
			w.ready, w.partial, w.readErr = append(w.ready, w.partial...), nil, err
		}
	}
	n := copy(into, w.ready)
	w.ready = w.ready[n:]
	if n == 0 && len(w.ready) == 0 {
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isOver {
		return
	}
	if w.seen += len(raw); w.seen > maxRecorded {
		w.call.isCut = true
		return
	}
	w.call.chunks = append(w.call.chunks, chunk{time.Now(), append([]byte(nil), raw...)})
}

// over: the answer has come to its end, good or bad. Only the first counts.
func (w *watched) over(err error) {
	w.mu.Lock()
	isSecond := w.isOver
	w.isOver = true
	w.mu.Unlock()
	if isSecond {
		return
	}
	w.release()
	if err != nil && !errors.Is(err, io.EOF) {
		w.call.failure = failureFrom(err)
	}
	w.owner.finish(w.step, w.call)
	close(w.done)
}

// Close lets the program go on at once. The rest of an answer that was not read is read in the background, for its
// usage: the provider bills it anyway. A cancelled context means that nothing more is wanted, and so does a Close while
// another goroutine reads: it is there to wake that one.
func (w *watched) Close() error {
	w.mu.Lock()
	isSecond, isOver, isReading := w.isClosed, w.isOver, w.isReading
	w.isClosed = true
	w.mu.Unlock()
	if isSecond {
		return nil
	}
	drain := w.owner.client.settings.DrainTime
	if !isOver && !isReading && drain > 0 && w.ctx.Err() == nil && w.owner.client.drains.add(w) {
		w.letGo()
		go w.drain(drain)
		return nil
	}
	err := w.inner.Close()
	if !isReading {
		w.over(nil)
	}
	return err
}

func (w *watched) drain(most time.Duration) {
	defer w.owner.client.drains.remove(w)
	defer w.over(nil)
	defer func() { _ = recover() }() // of a body of the program's own
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
}

// drains are the answers that are read on in the background.
type drains struct {
	mu       sync.Mutex
	bodies   map[*watched]bool
	isClosed bool
}

const maxDrains = 64

func (d *drains) add(w *watched) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed || len(d.bodies) >= maxDrains {
		return false
	}
	if d.bodies == nil {
		d.bodies = map[*watched]bool{}
	}
	d.bodies[w] = true
	return true
}

func (d *drains) remove(w *watched) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.bodies, w)
}

// close breaks them off, so that their steps are still delivered.
func (d *drains) close(ctx context.Context) {
	d.mu.Lock()
	d.isClosed = true
	var left []*watched
	for body := range d.bodies {
		left = append(left, body)
	}
	d.mu.Unlock()
	for _, body := range left {
		_ = body.inner.Close()
	}
	for _, body := range left {
		select {
		case <-body.done:
		case <-ctx.Done():
			return
		}
	}
}
