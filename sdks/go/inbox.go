package llmlab

import (
	"sync"
	"sync/atomic"
	"time"
)

// entry is one thing on its way: a step (ended, or running and announced), or a score.
type entry struct {
	step      *Step
	score     object
	isRunning bool
}

// inbox takes entries from the program without waiting for anything, and hands them to one goroutine that turns them
// into JSON. It holds at most MaxQueueBytes; beyond that the oldest are dropped and counted.
type inbox struct {
	mu       sync.Mutex
	entries  []entry
	bytes    int64
	limit    int64
	running  map[*Step]struct{}
	flushes  []func()
	wake     chan struct{}
	isClosed bool
	settings *settings
	recorded atomic.Int64
	dropped  atomic.Int64
}

const entrySize = 512 // what an entry weighs beside its texts

func newInbox(s *settings) *inbox {
	return &inbox{
		settings: s, limit: int64(s.MaxQueueBytes), running: map[*Step]struct{}{}, wake: make(chan struct{}, 1),
	}
}

func (in *inbox) open(step *Step) {
	in.mu.Lock()
	in.running[step] = struct{}{}
	in.mu.Unlock()
}

// forget takes a step back that was opened; false when it has been announced already.
func (in *inbox) forget(step *Step) bool {
	if in.settings.LiveInterval <= 0 {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	_, isRunning := in.running[step]
	delete(in.running, step)
	return isRunning
}

func (e entry) size() int64 {
	if e.step == nil {
		return entrySize
	}
	return e.step.weight()
}

// weight of a step that ended; nothing is added to it any more.
func (s *Step) weight() int64 { return entrySize + s.size }

func (in *inbox) put(e entry) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if e.step != nil {
		delete(in.running, e.step)
	}
	if in.isClosed {
		in.drop(e)
		return
	}
	in.recorded.Add(1)
	in.entries = append(in.entries, e)
	in.bytes += e.size()
	for in.bytes > in.limit && len(in.entries) > 1 {
		in.bytes -= in.entries[0].size()
		in.drop(in.entries[0])
		in.entries[0] = entry{}
		in.entries = in.entries[1:]
	}
	// No signal for each entry: waking the other goroutine would cost the program more than all the rest.
	if len(in.entries)%in.settings.FlushAt == 0 {
		in.signal()
	}
}

func (in *inbox) drop(e entry) {
	in.dropped.Add(1)
	if e.step != nil {
		e.step.unpaid()
	}
}

func (in *inbox) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// flush calls then once everything put before is encoded; false when closed.
func (in *inbox) flush(then func()) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.isClosed {
		return false
	}
	in.flushes = append(in.flushes, then)
	in.signal()
	return true
}

func (in *inbox) close() {
	in.mu.Lock()
	in.isClosed = true
	in.mu.Unlock()
	in.signal()
}

func (in *inbox) take() (entries []entry, flushes []func(), isClosed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	entries, in.entries, in.bytes = in.entries, nil, 0
	flushes, in.flushes = in.flushes, nil
	return entries, flushes, in.isClosed
}

// long are the steps that have run for some time and were not announced yet.
func (in *inbox) long(since time.Time) []*Step {
	in.mu.Lock()
	defer in.mu.Unlock()
	var found []*Step
	for step := range in.running {
		if step.started.Before(since) {
			delete(in.running, step)
			found = append(found, step)
		}
	}
	return found
}

// encode is the client's first goroutine: entries become JSON in the queue.
func (c *Client) encode() {
	defer c.encoded.Done()
	c.queue.adopt() // here, not in New: the spool may hold much
	look := time.NewTicker(lookEvery(c.settings))
	defer look.Stop()
	for {
		select {
		case <-c.inbox.wake:
		case <-look.C:
		}
		entries, flushes, isClosed := c.inbox.take()
		if dropped := c.inbox.dropped.Load(); dropped > 0 {
			c.settings.tell.eachMinute("inbox", "%d steps were dropped: more came than MaxQueueBytes holds, or after Shutdown", dropped)
		}
		for _, one := range entries {
			c.encodeEntry(one)
		}
		if c.settings.LiveInterval > 0 {
			for _, step := range c.inbox.long(time.Now().Add(-c.settings.LiveInterval)) {
				if !step.isEnded.Load() && step.trace.sampled {
					c.encodeEntry(entry{step: step, isRunning: true})
				}
			}
		}
		for _, then := range flushes {
			then()
		}
		if isClosed && len(entries) == 0 {
			return
		}
		if isClosed {
			c.inbox.signal()
		}
	}
}

func lookEvery(s *settings) time.Duration {
	every := 200 * time.Millisecond
	for _, interval := range []time.Duration{s.LiveInterval / 2, s.FlushInterval / 2} {
		if interval > 0 && interval < every {
			every = interval
		}
	}
	return every
}

func (c *Client) encodeEntry(e entry) {
	if e.score != nil {
		c.guarded(nil, func() { c.queue.put(packet{kind: scorePacket, body: encoded(c.settings.maskedScore(e.score))}) })
		return
	}
	if e.isRunning {
		c.guarded(nil, func() { c.encodeStep(e.step, true) })
		return
	}
	c.guarded(nil, e.step.resolve)
	for _, step := range c.kept(e.step) {
		step := step
		c.guarded(step, func() { c.encodeStep(step, false) })
	}
}

// guarded: nothing that is in a step, and no exporter, may end the program.
func (c *Client) guarded(step *Step, work func()) {
	defer func() {
		if fault := recover(); fault != nil {
			c.inbox.dropped.Add(1)
			if step != nil {
				step.unpaid()
			}
			c.settings.tell.once("encode", "a step could not be written (%v) and is dropped", fault)
		}
	}()
	work()
}

func (c *Client) encodeStep(step *Step, isRunning bool) {
	if step == step.trace.root && !isRunning {
		step.trace.mu.Lock()
		step.trace.rootEncoded = true
		step.trace.mu.Unlock()
	}
	item := c.settings.item(step, isRunning)
	if c.settings.Exporter != nil {
		c.settings.Exporter(item)
		c.sender.sent.Add(1)
		if !isRunning {
			step.unpaid()
		}
		return
	}
	steps := encoded(item["steps"].([]any)[0])
	delete(item, "steps")
	c.queue.put(packet{
		key: step.trace.id + step.trace.root.id, head: encoded(item), body: steps, budget: step.budget,
		isRunning: isRunning,
	})
}
