package llmlab

import (
	"context"
	"sync"
	"time"
)

// detached has the values of a context and neither its end nor its deadline.
type detached struct{ context.Context }

func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}       { return nil }
func (detached) Err() error                  { return nil }

// detach makes the context a stream is asked for with: it ends with the program's, but no longer once its body is closed.
// Nearly every Go program cancels right after Close, and so does http.Client with a Timeout: what is left of the answer
// could never be read on.
func detach(ctx context.Context) (sent context.Context, letGo, end func()) {
	if ctx.Done() == nil {
		return ctx, func() {}, func() {}
	}
	sent, cancel := context.WithCancel(detached{ctx})
	free := make(chan struct{})
	var once sync.Once
	letGo = func() { once.Do(func() { close(free) }) }
	go func() {
		select {
		case <-ctx.Done():
			select {
			case <-free: // both: the body was closed first
			default:
				cancel()
			}
		case <-free:
		}
	}()
	return sent, letGo, func() { letGo(); cancel() }
}

// causeOf says of an error of the detached context what it would have been with the program's own.
func causeOf(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && err == context.Canceled {
		return ended
	}
	return err
}
