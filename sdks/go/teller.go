package llmlab

import (
	"fmt"
	"log"
	"sync"
	"time"
)

// teller says each kind of fault once, and again at most every minute where the caller wants that. It says them from a
// goroutine of its own: a Logger may take its time, or call this package, whatever lock is held where the fault was met.
type teller struct {
	mu      sync.Mutex
	told    map[string]time.Time
	waiting []string
	done    chan struct{} // closed when nothing waits; nil when nothing ever did
	say     func(format string, args ...any)
}

const tellTime = 200 * time.Millisecond

func newTeller(say func(format string, args ...any)) *teller {
	if say == nil {
		say = log.Printf
	}
	return &teller{told: map[string]time.Time{}, say: say}
}

func (t *teller) once(kind, format string, args ...any) { t.tell(kind, 0, format, args...) }

func (t *teller) eachMinute(kind, format string, args ...any) {
	t.tell(kind, tellAgainAfter, format, args...)
}

func (t *teller) tell(kind string, again time.Duration, format string, args ...any) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	last, known := t.told[kind]
	if known && (again == 0 || now.Sub(last) < again) {
		return
	}
	t.told[kind] = now
	t.waiting = append(t.waiting, "llmlab: "+fmt.Sprintf(format, args...))
	if len(t.waiting) == 1 {
		t.done = make(chan struct{})
		go t.run()
	}
}

func (t *teller) run() {
	for {
		t.mu.Lock()
		next := t.waiting[0]
		t.mu.Unlock()
		t.tellOne(next)
		t.mu.Lock()
		t.waiting = t.waiting[1:]
		if len(t.waiting) == 0 {
			close(t.done)
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
	}
}

func (t *teller) tellOne(message string) {
	defer func() { _ = recover() }() // a logger of the program's own must not end it
	t.say("%s", message)
}

// idle waits, not for long, until everything is said: a program that ends would cut it off.
func (t *teller) idle() {
	t.mu.Lock()
	done := t.done
	t.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-time.After(tellTime):
	}
}
