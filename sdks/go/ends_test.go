package llmlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestShutdownAndFlushTogetherAndAgain(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	for n := 0; n < 20; n++ {
		_, step := client.Start(context.Background(), fmt.Sprint("step ", n))
		step.End()
	}
	var all sync.WaitGroup
	for n := 0; n < 8; n++ {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			if n%2 == 0 && !client.Shutdown(context.Background()) {
				t.Error("not through")
			}
			client.Flush(context.Background())
		}(n)
	}
	all.Wait()
	if _, steps := server.count(); steps != 20 || !client.Shutdown(context.Background()) || !client.Flush(context.Background()) {
		t.Errorf("%d steps", steps)
	}
	ctx, late := client.Start(context.Background(), "late")
	late.SetOutput(1)
	late.End()
	client.Score(ctx, "late", 1)
	if late != nil || client.Stats().Recorded != 20 {
		t.Errorf("%+v", client.Stats())
	}
	undo := client.ShutdownOnSignals()
	undo()
	undo()
}

func TestAFlushWaitsOnlyForWhatWasThere(t *testing.T) {
	server := newLab(t, func(int) (int, map[string]string, string) {
		time.Sleep(2 * time.Millisecond)
		return 207, nil, ""
	})
	client := server.client(t, Config{FlushAt: 1})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Add(1)
	go func() {
		defer busy.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_, step := client.Start(context.Background(), "more")
				step.End()
			}
		}
	}()
	for n := 0; n < 5; n++ {
		flushed(t, client)
	}
	close(stop)
	busy.Wait()
}

func TestAFlushKeepsToRetryAfter(t *testing.T) {
	server := newLab(t, func(int) (int, map[string]string, string) { return 429, map[string]string{"Retry-After": "60"}, "" })
	client := server.client(t, Config{})
	_, step := client.Start(context.Background(), "one")
	step.End()
	for n := 0; n < 3; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		if client.Flush(ctx) {
			t.Error("flushed")
		}
		cancel()
	}
	if requests, _ := server.count(); requests != 1 {
		t.Errorf("%d requests", requests)
	}
	if left := len(client.sender.waiters); left != 0 {
		t.Errorf("%d still wait", left)
	}
}

func TestWhatIsNotLLMLabGetsNoReceipt(t *testing.T) {
	for name, answer := range map[string]func(int) (int, map[string]string, string){
		"moved": func(int) (int, map[string]string, string) {
			return 301, map[string]string{"Location": "/elsewhere"}, ""
		},
		"a portal": func(int) (int, map[string]string, string) { return 200, nil, "<html>Log in</html>" },
	} {
		server := newLab(t, answer)
		client := server.client(t, Config{})
		_, step := client.Start(context.Background(), "kept")
		step.End()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		if client.Flush(ctx) {
			t.Errorf("%s: flushed", name)
		}
		cancel()
		if stats := client.Stats(); stats.Sent != 0 || stats.Dropped != 0 || stats.Waiting != 1 {
			t.Errorf("%s: %+v", name, stats)
		}
	}
}

func TestAStepEndsInOneGoroutineWhileAnotherSetsFields(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	for n := 0; n < 50; n++ {
		_, step := client.Start(context.Background(), "shared")
		var all sync.WaitGroup
		for _, act := range []func(){
			func() { step.SetOutput(strings.Repeat("x", 100)) }, func() { step.SetError(errors.New("e")) },
			func() { step.AddTags("t") }, func() { step.AddMetadata(map[string]any{"k": 1}) }, step.End, step.End,
		} {
			all.Add(1)
			go func(act func()) { defer all.Done(); act() }(act)
		}
		all.Wait()
	}
	flushed(t, client)
	if client.inbox.bytes != 0 || client.queue.bytes != 0 {
		t.Errorf("%d and %d bytes are left", client.inbox.bytes, client.queue.bytes)
	}
}

func TestLoggerAndExporterMayDoAnything(t *testing.T) {
	var client *Client
	ready := make(chan struct{})
	client = New(Config{
		Exporter: func(item Item) { panic("exporter") },
		Logger: func(string, ...any) {
			<-ready
			client.Flush(context.Background())
			client.Stats()
			panic("logger")
		},
	})
	close(ready)
	for n := 0; n < 3; n++ {
		_, step := client.Start(context.Background(), "x")
		step.End()
	}
	if !client.Shutdown(context.Background()) || client.Stats().Dropped != 3 {
		t.Errorf("%+v", client.Stats())
	}
}

func TestTheErrorsMessageIsContent(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	ctx, root := client.Start(context.Background(), "root", WithoutContent(), WithMetadata(map[string]any{"plan": "pro"}))
	_, step := client.Start(ctx, "step", WithInput("secret"))
	step.SetMetadata(map[string]any{"k": "kept"})
	step.Fail("Refused", "secret")
	step.End()
	root.End()
	flushed(t, client)
	got := server.steps()["step"]
	same(t, got["error"], object{"type": "Refused"})
	same(t, got["metadata"], object{"k": "kept"})
	same(t, mapping(got["item"])["metadata"], object{"plan": "pro"})
	if got["input"] != nil {
		t.Errorf("%v", got)
	}
}

func TestAnItemRunsUntilItsRootIsWritten(t *testing.T) {
	var items []Item
	client := New(Config{Logger: t.Logf, Exporter: func(item Item) { items = append(items, item) }})
	ctx, root := client.Start(context.Background(), "root")
	_, early := client.Start(ctx, "early")
	_, late := client.Start(ctx, "late")
	client.inbox.mu.Lock() // the encoder sees none of them before all have ended
	ended := make(chan struct{})
	go func() { early.End(); root.End(); late.End(); close(ended) }()
	client.inbox.mu.Unlock()
	<-ended
	client.Shutdown(context.Background())
	status := map[string]any{}
	for _, item := range items {
		status[text(item["steps"].([]any)[0].(object)["name"])] = item["status"]
	}
	same(t, status, object{"early": "running", "root": "ok", "late": "ok"})
}

func TestAnUnsampledTraceThatFailsComesWhole(t *testing.T) {
	none := 0.0
	server := newLab(t, nil)
	client := server.client(t, Config{SampleRate: &none, LiveInterval: 10 * time.Millisecond})
	ctx, root := client.Start(context.Background(), "root")
	_, slow := client.Start(ctx, "slow")
	for n := 0; n < maxHeldSteps+5; n++ {
		_, step := client.Start(ctx, fmt.Sprint("step ", n))
		step.End()
	}
	time.Sleep(100 * time.Millisecond)
	if steps := server.steps(); len(steps) != 0 {
		t.Errorf("%d were announced", len(steps))
	}
	root.Fail("Boom", "broken")
	root.End()
	slow.End()
	flushed(t, client)
	steps := server.steps()
	same(t, steps["root"]["status"], "error")
	same(t, steps["slow"]["status"], "ok")
	if len(steps) != maxHeldSteps+1 || steps["step 0"] != nil {
		t.Errorf("%d steps", len(steps))
	}
	if client.held.bytes != 0 || len(client.held.traces) != 0 {
		t.Errorf("%d bytes are held", client.held.bytes)
	}
}

func TestHeldTracesAreBounded(t *testing.T) {
	none := 0.0
	client := newLab(t, nil).client(t, Config{SampleRate: &none, MaxQueueBytes: 64 << 10})
	for n := 0; n < 300; n++ {
		ctx, _ := client.Start(context.Background(), "never ends")
		_, step := client.Start(ctx, "step", WithInput(strings.Repeat("x", 1000)))
		step.End()
		if n%20 == 0 {
			flushed(t, client)
		}
	}
	flushed(t, client)
	if client.held.bytes > 64<<10 || len(client.held.traces) == 0 {
		t.Errorf("%d bytes of %d traces", client.held.bytes, len(client.held.traces))
	}
}

func TestABudgetLearnsOfCallsWhoseCostIsNeverTold(t *testing.T) {
	none := 0.0
	url, _ := provider(t, func(writer http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(writer, cannedAnswer) })
	for name, client := range map[string]*Client{
		"not sampled": newLab(t, nil).client(t, Config{SampleRate: &none}),
		"exported":    New(Config{Exporter: func(Item) {}}),
		"refused":     newLab(t, func(int) (int, map[string]string, string) { return 400, nil, "{}" }).client(t, Config{}),
	} {
		ctx, budget := client.Budget(context.Background(), "1", true)
		var all sync.WaitGroup
		for n := 0; n < 4; n++ { // at the same time: none knows of the others' cost yet
			all.Add(1)
			go func() {
				defer all.Done()
				request, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"model":"m"}`))
				if response, err := (&http.Client{Transport: client.Transport(nil)}).Do(request); err == nil {
					_, _ = io.ReadAll(response.Body)
					_ = response.Body.Close()
				}
			}()
		}
		all.Wait()
		err := budget.check(ctx)
		budget.mu.Lock()
		if budget.pending != 0 || budget.unlearnt == 0 || !errors.Is(err, ErrBudgetExceeded) {
			t.Errorf("%s: %d pending, %d unknown, %v", name, budget.pending, budget.unlearnt, err)
		}
		budget.mu.Unlock()
	}
}
