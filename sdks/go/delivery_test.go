package llmlab

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func stored(int) (int, map[string]string, string) { return 207, nil, "" }

func TestATraceArrivesWithItsStepsAndParents(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{Environment: "staging", Release: "2.1"})
	ctx, root := client.Start(context.Background(), "refund", WithUser("jane"), WithSession("s1"), WithTags("a"))
	inner, plan := client.Start(ctx, "plan", WithType("chain"), WithInput(map[string]any{"n": 1}))
	_, tool := client.Start(inner, "lookup", WithType("tool"))
	tool.SetOutput([]int{1, 2})
	tool.SetError(fmt.Errorf("no such order"))
	tool.End()
	tool.End()
	plan.End()
	root.AddTags("b")
	root.End()
	client.Score(ctx, "helpful", true, ScoreComment("by hand"))
	flushed(t, client)

	steps := server.steps()
	if len(steps) != 3 {
		t.Fatalf("%d steps", len(steps))
	}
	same(t, steps["lookup"]["parent_id"], plan.ID())
	same(t, steps["plan"]["parent_id"], root.ID())
	same(t, steps["refund"]["parent_id"], nil)
	same(t, steps["lookup"]["output"], []int{1, 2})
	same(t, mapping(steps["lookup"]["error"])["message"], "no such order")
	same(t, steps["lookup"]["status"], "error")
	item := steps["refund"]["item"].(object)
	delete(item, "steps")
	for _, name := range []string{"started_at", "ended_at", "trace_id", "root_id"} {
		if item[name] == nil {
			t.Errorf("no %s", name)
		}
		delete(item, name)
	}
	same(t, item, object{
		"name": "refund", "status": "ok", "user": "jane", "session": "s1", "tags": []string{"a", "b"},
		"environment": "staging", "release": "2.1",
	})
	same(t, server.scores[0]["trace_id"], root.TraceID())
	same(t, server.key, "Bearer llmlab_sk_test")
}

func TestGoroutinesKeepTheirParents(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	ctx, root := client.Start(context.Background(), "root")
	parents := map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := 0; n < 50; n++ {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			outer, a := client.Start(ctx, fmt.Sprintf("outer-%d", n))
			_, b := client.Start(outer, fmt.Sprintf("inner-%d", n))
			b.End()
			a.End()
			mu.Lock()
			defer mu.Unlock()
			parents[b.name], parents[a.name] = a.ID(), root.ID()
		}(n)
	}
	all.Wait()
	root.End()
	flushed(t, client)
	for name, step := range server.steps() {
		if name != "root" && step["parent_id"] != parents[name] {
			t.Errorf("%s hangs below %v", name, step["parent_id"])
		}
	}
	if _, count := server.count(); count != 101 {
		t.Errorf("%d steps", count)
	}
}

func TestABatchIsSentAgainUntilItIsTaken(t *testing.T) {
	for name, first := range map[string]func(int) (int, map[string]string, string){
		"503": func(n int) (int, map[string]string, string) {
			return map[bool]int{true: 503, false: 207}[n < 3], nil, ""
		},
		"500": func(n int) (int, map[string]string, string) {
			return map[bool]int{true: 500, false: 207}[n < 2], nil, ""
		},
		"429": func(n int) (int, map[string]string, string) {
			return map[bool]int{true: 429, false: 207}[n < 2], map[string]string{"Retry-After": "0.2"}, ""
		},
		"key mended": func(n int) (int, map[string]string, string) {
			return map[bool]int{true: 401, false: 207}[n < 2], nil, `{"detail": "unknown key"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newLab(t, first)
			client := server.client(t, Config{})
			for n := 0; n < 5; n++ {
				_, step := client.Start(context.Background(), fmt.Sprint("step ", n))
				step.End()
			}
			flushed(t, client)
			requests, steps := server.count()
			if steps != 5 || requests < 2 {
				t.Errorf("%d steps in %d requests", steps, requests)
			}
			if stats := client.Stats(); stats.Sent != 5 || stats.Dropped != 0 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	server := newLab(t, func(n int) (int, map[string]string, string) {
		if n == 1 {
			return 429, map[string]string{"Retry-After": "1"}, ""
		}
		return 207, nil, ""
	})
	client := server.client(t, Config{FlushInterval: 20 * time.Millisecond})
	_, step := client.Start(context.Background(), "one")
	step.End()
	started := time.Now()
	for client.Stats().Sent == 0 && time.Since(started) < 10*time.Second {
		time.Sleep(10 * time.Millisecond)
	}
	if waited := time.Since(started); waited < time.Second || client.Stats().Sent != 1 {
		t.Errorf("sent again after %v", waited)
	}
}

func TestABadBodyIsDroppedAndToldOnce(t *testing.T) {
	var told []string
	var mu sync.Mutex
	server := newLab(t, func(int) (int, map[string]string, string) { return 400, nil, `{"detail": "bad"}` })
	client := server.client(t, Config{Logger: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf(format, args...))
	}})
	for n := 0; n < 2; n++ {
		_, step := client.Start(context.Background(), "x")
		step.End()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		client.Flush(ctx)
		cancel()
	}
	mu.Lock()
	defer mu.Unlock()
	if client.Stats().Dropped != 2 || len(told) != 1 || !strings.Contains(told[0], "refused a batch (400): bad") {
		t.Errorf("%+v, told %q", client.Stats(), told)
	}
}

func TestABatchThatIsTooLargeIsHalvedAndAStepAloneIsCut(t *testing.T) {
	var server *lab
	tooLarge := func(int) (int, map[string]string, string) { return 413, nil, "" }
	server = newLab(t, func(n int) (int, map[string]string, string) {
		if n <= 3 {
			return tooLarge(n)
		}
		return stored(n)
	})
	client := server.client(t, Config{})
	for n := 0; n < 4; n++ {
		_, step := client.Start(context.Background(), fmt.Sprint("step ", n), WithInput("said"))
		step.End()
	}
	flushed(t, client)
	steps := server.steps() // 4, 2, 1: the one that was refused alone lost its contents
	if len(steps) != 4 || steps["step 0"]["input"] != "[cut: 6 bytes]" || steps["step 1"]["input"] != "said" {
		t.Errorf("%v", steps)
	}
}

func TestADeadServerCostsBoundedMemory(t *testing.T) {
	client := New(Config{APIKey: "k", Project: "p", BaseURL: "http://127.0.0.1:1", MaxQueueBytes: 1 << 20, Logger: t.Logf})
	long := strings.Repeat("x", 1000)
	for n := 0; n < 20_000; n++ {
		_, step := client.Start(context.Background(), "x", WithInput(long))
		step.End()
	}
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if client.Shutdown(ctx) {
		t.Error("flushed")
	}
	if memory.HeapAlloc > 16<<20 {
		t.Errorf("%d MiB", memory.HeapAlloc>>20)
	}
	if stats := client.Stats(); stats.Dropped+stats.Waiting < 20_000-1 || stats.Recorded != 20_000 {
		t.Errorf("%+v", stats)
	}
}

func TestALongStepIsAnnouncedWhileItRuns(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{LiveInterval: 30 * time.Millisecond})
	_, step := client.Start(context.Background(), "slow")
	deadline := time.Now().Add(10 * time.Second)
	for server.steps()["slow"] == nil && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	same(t, server.steps()["slow"]["status"], "running")
	step.End()
	flushed(t, client)
	same(t, server.steps()["slow"]["status"], "ok")
}

func TestTracesThatAreNotSampledComeOnlyWithAnError(t *testing.T) {
	server := newLab(t, nil)
	none := 0.0
	client := server.client(t, Config{SampleRate: &none})
	for _, name := range []string{"good", "bad"} {
		ctx, root := client.Start(context.Background(), name)
		_, step := client.Start(ctx, name+" step")
		if name == "bad" {
			step.Fail("Boom", "broken")
		}
		step.End()
		root.End()
	}
	flushed(t, client)
	if steps := server.steps(); len(steps) != 2 || steps["bad"] == nil || steps["bad step"] == nil {
		t.Errorf("%v", steps)
	}
}

func TestHostileValuesAreNoTrouble(t *testing.T) {
	server := newLab(t, nil)
	client := server.client(t, Config{})
	circle := map[string]any{}
	circle["self"] = circle
	_, step := client.Start(context.Background(), "hostile", WithMetadata(circle))
	step.SetInput(map[any]any{1: make(chan int), "f": func() {}, "b": []byte("12345"), "z": complex(1, 2), "bad\xff": "\xff"})
	step.SetOutput(panics{})
	step.SetError(panics{})
	step.Set("usage", strings.Repeat("y", 4<<20))
	step.End()
	var none *Step
	none.SetInput(1)
	none.End()
	flushed(t, client)
	got := server.steps()["hostile"]
	same(t, mapping(got["item"])["metadata"], object{"self": "[circular]"})
	input := mapping(got["input"])
	same(t, input["b"], "[bytes: 5]")
	same(t, input["f"], "[func()]")
	same(t, mapping(got["error"])["message"], "[unreadable]")
}

type panics struct{ inner map[string]int }

func (panics) Error() string                { panic("error") }
func (panics) MarshalJSON() ([]byte, error) { panic("json") }

func TestOffWithoutAKey(t *testing.T) {
	t.Setenv("LLMLAB_API_KEY", "")
	client := New(Config{Logger: t.Logf})
	ctx, step := client.Start(context.Background(), "x")
	step.SetOutput(1)
	step.End()
	client.Score(ctx, "s", 1)
	if !client.Flush(context.Background()) || !client.Shutdown(context.Background()) || step != nil {
		t.Error("not off")
	}
}
