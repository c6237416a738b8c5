package llmlab

import (
	"context"
	"os"
	"os/signal"
	"sync"
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
			self, err := os.FindProcess(os.Getpid())
			if err != nil || self.Signal(got) != nil {
				os.Exit(1) // Windows cannot send it
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { signal.Stop(signals); close(done) }) }
}
