package llmlab

import "sync"

const (
	maxHeldSteps  = 1000 // of one trace
	maxHeldTraces = 1000
)

// holding keeps the steps of traces that are not sampled until their root has ended: an error brings them all. Bounded in
// steps, traces and bytes; the trace that waits longest is forgotten first.
type holding struct {
	mu     sync.Mutex
	traces []*trace
	bytes  int64
	limit  int64
}

// kept decides by the trace: the steps that may be sent now that this one ended.
func (c *Client) kept(step *Step) []*Step {
	whole := step.trace
	if whole.sampled {
		return []*Step{step}
	}
	step.mu.Lock()
	isFailed := step.status == "error"
	step.mu.Unlock()
	c.held.mu.Lock()
	defer c.held.mu.Unlock()
	whole.failed = whole.failed || isFailed
	if whole.isDone { // its root was here before; this one took longer
		if whole.failed {
			return []*Step{step}
		}
		step.unpaid()
		return nil
	}
	c.held.add(step)
	if step != whole.root {
		return nil
	}
	whole.isDone = true
	held := c.held.remove(whole)
	if whole.failed {
		return held
	}
	for _, one := range held {
		one.unpaid()
	}
	return nil
}

func (h *holding) add(step *Step) {
	whole := step.trace
	if len(whole.held) == 0 {
		h.traces = append(h.traces, whole)
	}
	if len(whole.held) >= maxHeldSteps {
		h.bytes -= whole.held[0].weight()
		whole.held[0].unpaid()
		whole.held = append(whole.held[:0:0], whole.held[1:]...)
	}
	whole.held = append(whole.held, step)
	h.bytes += step.weight()
	for (len(h.traces) > maxHeldTraces || h.bytes > h.limit) && h.traces[0] != whole {
		for _, one := range h.remove(h.traces[0]) {
			one.unpaid()
		}
	}
}

func (h *holding) remove(whole *trace) []*Step {
	held := whole.held
	whole.held = nil
	for _, step := range held {
		h.bytes -= step.weight()
	}
	for i, one := range h.traces {
		if one == whole {
			h.traces = append(h.traces[:i:i], h.traces[i+1:]...)
			break
		}
	}
	return held
}
