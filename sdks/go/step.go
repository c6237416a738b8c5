package llmlab

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// object is a JSON object on its way to the server.
type object = map[string]any

// Item is what the server's JSON door takes: a part of one trace with its steps.
type Item = map[string]any

// trace is what the steps of one process in one trace share.
type trace struct {
	mu       sync.Mutex
	id       string
	parentID string // a step of another process
	sampled  bool
	root     *Step
	name     string
	user     string
	session  string
	tags     []string
	metadata object
	// Of a trace that is not sampled; under the holding's lock.
	held   []*Step
	failed bool
	isDone bool
	// Whether the root's own step is on its way to the server.
	rootEncoded bool
}

// Step is one step of a trace: a call, a tool, anything with a beginning and an end. All methods may be called on a nil
// Step and from several goroutines; after End they do nothing.
type Step struct {
	client   *Client
	trace    *trace
	id       string
	parentID string
	started  time.Time
	budget   *Budget
	size     int64 // bytes held for it, roughly

	mu     sync.Mutex
	name   string
	kind   string
	ended  time.Time
	status string
	fields object
	// late parses bytes in the background; its fields win.
	late        func() object
	omitContent bool
	isEnded     atomic.Bool
}

// Option says something about a step when it starts.
type Option func(*Step)

// WithType sets the type: llm, embedding, tool, retrieval, rerank, guardrail, evaluator, agent, chain or span.
func WithType(kind string) Option { return func(s *Step) { s.kind = kind } }

// WithInput sets what the step was given.
func WithInput(input any) Option { return func(s *Step) { s.put("input", input) } }

// WithUser sets whose trace it is.
func WithUser(user string) Option { return func(s *Step) { s.SetUser(user) } }

// WithSession sets the conversation the trace belongs to.
func WithSession(session string) Option { return func(s *Step) { s.SetSession(session) } }

// WithTags adds tags to the trace.
func WithTags(tags ...string) Option { return func(s *Step) { s.AddTags(tags...) } }

// WithMetadata adds metadata to the trace.
func WithMetadata(metadata map[string]any) Option {
	return func(s *Step) { s.AddMetadata(metadata) }
}

// WithoutContent leaves this step's inputs and outputs out, and those of the steps below it.
func WithoutContent() Option { return func(s *Step) { s.omitContent = true } }

// Start begins a step below the context's, or a trace of its own, with the client made last.
func Start(ctx context.Context, name string, options ...Option) (context.Context, *Step) {
	return current().Start(ctx, name, options...)
}

// Start begins a step below the context's, or a trace of its own. End it.
func (c *Client) Start(ctx context.Context, name string, options ...Option) (context.Context, *Step) {
	if ctx == nil {
		ctx = context.Background()
	}
	if !c.isOn() {
		return ctx, nil
	}
	step := c.newStep(ctx, name, "span")
	for _, option := range options {
		if option != nil {
			option(step)
		}
	}
	c.opened(step)
	return context.WithValue(ctx, stepKey, step), step
}

func (c *Client) newStep(ctx context.Context, name, kind string) *Step {
	step := &Step{client: c, id: randomHex(8), name: name, kind: kind, started: time.Now()}
	if above := StepFrom(ctx); above != nil {
		step.trace, step.parentID, step.omitContent = above.trace, above.id, above.omitContent
		return step
	}
	whole := &trace{root: step, name: name}
	if above, ok := ctx.Value(remoteKey).(remote); ok {
		whole.id, whole.parentID, whole.sampled = above.traceID, above.stepID, above.sampled
		step.parentID = above.stepID
	} else {
		whole.id = randomHex(16)
		whole.sampled = isSampled(whole.id, c.settings.sampleRate)
	}
	step.trace = whole
	return step
}

// TraceID of the step; empty for nil.
func (s *Step) TraceID() string {
	if s == nil {
		return ""
	}
	return s.trace.id
}

// ID of the step; empty for nil.
func (s *Step) ID() string {
	if s == nil {
		return ""
	}
	return s.id
}

// SetInput says what the step was given. The value is copied now; change it afterwards as you like.
func (s *Step) SetInput(input any) { s.put("input", input) }

// SetOutput says what came out.
func (s *Step) SetOutput(output any) { s.put("output", output) }

// SetMetadata sets the step's own metadata.
func (s *Step) SetMetadata(metadata map[string]any) { s.put("metadata", metadata) }

// SetModel says which model answered, of which provider.
func (s *Step) SetModel(provider, model string) {
	s.put("provider", provider)
	s.put("model", model)
	s.put("request_model", model)
}

// SetUsage takes the provider's own usage object.
func (s *Step) SetUsage(usage any) { s.put("usage", usage) }

// Set sets any other field of a step that the server's JSON door knows, by its name there.
func (s *Step) Set(field string, value any) { s.put(field, value) }

// SetError marks the step as failed. A nil error changes nothing.
func (s *Step) SetError(err error) {
	if s == nil || err == nil {
		return
	}
	s.fail(errorType(err), errorText(err))
}

// Fail marks the step as failed with a type of your own words.
func (s *Step) Fail(errorType, message string) {
	if s != nil {
		s.fail(errorType, message)
	}
}

func (s *Step) fail(kind, message string) {
	s.put("error", object{"type": kind, "message": cut(message, maxErrorText)})
	s.mu.Lock()
	if !s.isEnded.Load() {
		s.status = "error"
	}
	s.mu.Unlock()
}

// SetUser says whose trace it is.
func (s *Step) SetUser(user string) { s.ofTrace(func(t *trace) { t.user = user }) }

// SetSession says which conversation the trace belongs to.
func (s *Step) SetSession(session string) { s.ofTrace(func(t *trace) { t.session = session }) }

// AddTags adds tags to the trace.
func (s *Step) AddTags(tags ...string) {
	s.ofTrace(func(t *trace) { t.tags = append(t.tags[:len(t.tags):len(t.tags)], tags...) })
}

// AddMetadata adds metadata to the trace; keys set before are replaced.
func (s *Step) AddMetadata(metadata map[string]any) {
	copied, _ := plain(metadata).(object)
	s.ofTrace(func(t *trace) {
		all := object{}
		for key, value := range t.metadata {
			all[key] = value
		}
		for key, value := range copied {
			all[key] = value
		}
		t.metadata = all
	})
}

func (s *Step) ofTrace(change func(*trace)) {
	if s == nil {
		return
	}
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	change(s.trace)
}

func (s *Step) put(field string, value any) {
	if s == nil || s.isEnded.Load() {
		return
	}
	copied, size := snapshot(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isEnded.Load() {
		return // it is on its way
	}
	if s.fields == nil {
		s.fields = object{}
	}
	s.fields[field] = copied
	s.size += int64(size)
}

// End the step; it is on its way now. A second End is ignored.
func (s *Step) End() { s.end(nil) }

// lost: the step is not sent, and is none.
func (s *Step) lost() {
	if s.isEnded.CompareAndSwap(false, true) && s.budget != nil {
		s.budget.dropped()
	}
}

// unpaid: the server will not say what the step cost.
func (s *Step) unpaid() {
	if s.budget != nil {
		s.budget.unknown()
	}
}

func (s *Step) end(late func() object) {
	if s == nil || !s.isEnded.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	s.ended, s.late = time.Now(), late
	if s.status == "" {
		s.status = "ok"
	}
	s.mu.Unlock()
	s.client.closed(s)
}

func errorType(err error) (kind string) {
	defer func() {
		if recover() != nil {
			kind = "error"
		}
	}()
	if named, ok := err.(interface{ ErrorType() string }); ok {
		return named.ErrorType()
	}
	return typeName(err)
}

func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "[unreadable]"
		}
	}()
	return err.Error()
}

func typeName(value any) string {
	name := fmt.Sprintf("%T", value)
	for len(name) > 0 && name[0] == '*' {
		name = name[1:]
	}
	return name
}

func nowNanos() int64 { return time.Now().UnixNano() }
