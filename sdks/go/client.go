package llmlab

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Client records steps and delivers them in the background. Safe for use from many goroutines.
type Client struct {
	settings *settings
	inbox    *inbox
	queue    *queue
	sender   *sender
	limits   *limits
	stopped  atomic.Bool
	encoded  sync.WaitGroup
	drains   drains
	held     holding
	ended    chan struct{} // closed once Shutdown is through
	isDone   bool          // what it answered
}

// Stats are counts since the start.
type Stats struct {
	Recorded int64 // steps and scores handed over
	Sent     int64 // acknowledged by the server
	Dropped  int64 // given up for lack of room or because the server refused the body
	Rejected int64 // refused one by one by the server
	Waiting  int64 // on their way
}

var (
	latestMu sync.Mutex
	latest   *Client
)

// New makes a client; its goroutines start now. It never fails: without a key or project it is off, and says so once.
func New(config Config) *Client {
	c := newClient(config)
	latestMu.Lock()
	latest = c
	latestMu.Unlock()
	return c
}

func newClient(config Config) *Client {
	s := decide(config)
	c := &Client{settings: s, inbox: newInbox(s), queue: newQueue(s)}
	c.sender = newSender(s, c.queue)
	c.limits = newLimits(s, c.sender.ctx)
	c.held.limit, c.ended = int64(s.MaxQueueBytes), make(chan struct{})
	if s.isOn {
		c.encoded.Add(1)
		go c.encode()
		go c.sender.run()
	}
	s.tell.idle()
	return c
}

// current is the client made last, else one made from the environment.
func current() *Client {
	latestMu.Lock()
	defer latestMu.Unlock()
	if latest == nil {
		latest = newClient(Config{})
	}
	return latest
}

func (c *Client) isOn() bool { return c != nil && c.settings.isOn && !c.stopped.Load() }

// opened keeps a running step in sight, to announce it when it takes long.
func (c *Client) opened(step *Step) {
	if c.settings.LiveInterval > 0 {
		c.inbox.open(step)
	}
}

func (c *Client) closed(step *Step) { c.inbox.put(entry{step: step}) }

// Score judges the context's trace, or the trace given by ScoreOf. Values are numbers, booleans or words.
func (c *Client) Score(ctx context.Context, name string, value any, options ...ScoreOption) {
	if !c.isOn() {
		return
	}
	score := object{"id": randomHex(16), "name": name, "value": plain(value)}
	if step := StepFrom(ctx); step != nil {
		if !step.trace.sampled {
			return // its trace is not kept
		}
		score["trace_id"] = step.trace.id
	} else if id := TraceID(ctx); id != "" {
		score["trace_id"] = id
	}
	if c.settings.Environment != "" {
		score["environment"] = c.settings.Environment
	}
	for _, option := range options {
		if option != nil {
			option(score)
		}
	}
	if score["trace_id"] == nil && score["session"] == nil {
		c.settings.tell.once("score", "score %q names no trace and there is none here: give ScoreOf or ScoreSession", name)
		return
	}
	c.inbox.put(entry{score: score})
}

// Score judges the context's trace with the client made last.
func Score(ctx context.Context, name string, value any, options ...ScoreOption) {
	current().Score(ctx, name, value, options...)
}

// ScoreOption says more about a score.
type ScoreOption func(object)

// ScoreComment is the reason for the value.
func ScoreComment(reason string) ScoreOption { return func(s object) { s["reason"] = reason } }

// ScoreID makes the score correctable: the same id sent again replaces it.
func ScoreID(id string) ScoreOption { return func(s object) { s["id"] = id } }

// ScoreOf names the trace, and the step unless that is empty.
func ScoreOf(traceID, stepID string) ScoreOption {
	return func(s object) {
		s["trace_id"] = traceID
		if stepID != "" {
			s["span_id"] = stepID
		}
	}
}

// ScoreSession judges a conversation.
func ScoreSession(session string) ScoreOption {
	return func(s object) { delete(s, "trace_id"); s["session"] = session }
}

// Flush sends what waits; true when the server acknowledged all of it before the context ended.
func (c *Client) Flush(ctx context.Context) bool {
	if c == nil || !c.settings.isOn {
		return true
	}
	done := make(chan bool, 1)
	if !c.inbox.flush(func() { c.sender.flush(done) }) {
		return c.queue.waiting() == 0
	}
	select {
	case ok := <-done:
		c.settings.tell.idle()
		return ok
	case <-ctx.Done():
		c.sender.leave(done)
		return false
	}
}

const shutdownTime = 5 * time.Second

// Shutdown flushes until the context ends (or 5 s when it has no deadline), then stops for good. What could not be sent
// stays in the spool, or is counted and told as lost.
func (c *Client) Shutdown(ctx context.Context) bool {
	if c == nil || !c.settings.isOn {
		return true
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, shutdownTime)
		defer cancel()
	}
	if !c.stopped.CompareAndSwap(false, true) { // another goroutine is at it, or was
		select {
		case <-c.ended:
			return c.isDone
		case <-ctx.Done():
			return false
		}
	}
	defer close(c.ended)
	c.drains.close(ctx)
	c.isDone = c.Flush(ctx)
	c.inbox.close()
	c.encoded.Wait()
	c.sender.stop()
	if left := c.queue.close(); left > 0 {
		c.settings.tell.once("lost", "%d steps could not be delivered before the end and are lost", left)
	}
	c.settings.tell.idle()
	return c.isDone
}

// Stats counts what was recorded and what became of it.
func (c *Client) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	return Stats{
		Recorded: c.inbox.recorded.Load(),
		Sent:     c.sender.sent.Load(),
		Dropped:  c.inbox.dropped.Load() + c.queue.dropped.Load() + c.sender.dropped.Load(),
		Rejected: c.sender.rejected.Load(),
		Waiting:  c.queue.waiting(),
	}
}
