package llmlab

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// ShutdownOnSignals delivers what waits when the process is told to end (SIGTERM, SIGINT), then lets the signal do what it
// would have done. For programs that handle no signals themselves; others call Shutdown. The returned function undoes it.
func (c *Client) ShutdownOnSignals() (undo func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
		case got := <-signals:
			signal.Stop(signals)
			c.Shutdown(context.Background())
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				_ = self.Signal(got)
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}
