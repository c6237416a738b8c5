package llmlab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const childVariable = "LLMLAB_TEST_CHILD"

// TestMain: the binary is also the program that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		client := New(Config{APIKey: "k", Project: "p", BaseURL: "http://127.0.0.1:1", SpoolDir: dir})
		for n := 0; n < 250; n++ {
			_, step := client.Start(context.Background(), fmt.Sprint("spooled ", n))
			step.End()
		}
		for client.Stats().Waiting < 250 {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("ready")
		time.Sleep(time.Minute)
		return
	}
	os.Exit(m.Run())
}

func TestWhatAKilledProcessSpooledIsSentByTheNext(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+dir)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		t.Fatalf("child said %q", line)
	}
	server := newLab(t, nil)
	early := server.client(t, Config{SpoolDir: dir})
	flushed(t, early)
	if _, steps := server.count(); steps != 0 {
		t.Fatalf("%d steps were taken from a process that lives", steps)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	client := server.client(t, Config{SpoolDir: dir})
	flushed(t, client)
	if _, steps := server.count(); steps != 250 || len(server.steps()) != 250 {
		t.Errorf("%d steps", steps)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left in the spool: %v", left)
	}
}

func TestASpoolThatIsDamagedOrReadOnlyIsNoTrouble(t *testing.T) {
	dir := t.TempDir()
	good := `{"trace_id":"aa","root_id":"bb","steps":[{"id":"bb","name":"kept"}]}`
	raw := "no json\n" + good + "\n" + good[:30]
	if err := os.WriteFile(filepath.Join(dir, "1-x.jsonl"), []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	server := newLab(t, nil)
	client := server.client(t, Config{SpoolDir: dir})
	flushed(t, client)
	if steps := server.steps(); len(steps) != 1 || steps["kept"] == nil {
		t.Errorf("%v", steps)
	}
	file := filepath.Join(dir, "file")
	_ = os.WriteFile(file, nil, 0o600)
	other := server.client(t, Config{SpoolDir: file})
	_, step := other.Start(context.Background(), "memory only")
	step.End()
	flushed(t, other)
	if server.steps()["memory only"] == nil {
		t.Error("not delivered")
	}
}

func TestASpoolIsReadByEverySDKAndHoldsNoSecrets(t *testing.T) {
	dir := t.TempDir()
	client := New(Config{APIKey: "llmlab_sk_secret", Project: "hidden", BaseURL: "http://127.0.0.1:1", SpoolDir: dir, Logger: t.Logf})
	ctx, step := client.Start(context.Background(), "ours")
	step.End()
	client.Score(ctx, "helpful", true)
	short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	client.Shutdown(short)
	paths, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(paths) != 1 {
		t.Fatalf("%v", paths)
	}
	raw, _ := os.ReadFile(paths[0])
	lines := strings.SplitAfter(string(raw), "\n")
	item, score := objectOf([]byte(lines[0])), objectOf([]byte(lines[1]))
	if item["trace_id"] != step.TraceID() || objects(item["steps"])[0]["name"] != "ours" || mapping(score["score"])["name"] != "helpful" {
		t.Errorf("%s", raw)
	}
	if strings.Contains(string(raw), "secret") || strings.Contains(string(raw), "hidden") {
		t.Errorf("%s", raw)
	}

	python := `{"trace_id":"cc","root_id":"dd","name":"n","steps":[{"id":"dd","name":"theirs"},{"id":"ee","name":"theirs too"}]}` + "\n"
	foreign := filepath.Join(dir, "2-y.jsonl")
	_ = os.WriteFile(filepath.Join(dir, "1-x.jsonl"), []byte(python+`{"something":"else"}`+"\n"), 0o600)
	_ = os.WriteFile(foreign, []byte(`{"something":"else"}`+"\n"), 0o600)
	server := newLab(t, nil)
	next := server.client(t, Config{SpoolDir: dir, Logger: func(format string, args ...any) { t.Errorf(format, args...) }})
	flushed(t, next)
	steps := server.steps()
	if len(steps) != 3 || steps["ours"] == nil || steps["theirs too"] == nil || len(server.scores) != 1 {
		t.Errorf("%v", steps)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 || left[0] != foreign {
		t.Errorf("left: %v", left)
	}
}

func TestTwoClientsShareADirectory(t *testing.T) {
	dir := t.TempDir()
	server := newLab(t, nil)
	one, two := server.client(t, Config{SpoolDir: dir}), server.client(t, Config{SpoolDir: dir})
	for n := 0; n < 50; n++ {
		for _, client := range []*Client{one, two} {
			_, step := client.Start(context.Background(), "x")
			step.End()
		}
	}
	flushed(t, one)
	flushed(t, two)
	if _, steps := server.count(); steps != 100 {
		t.Errorf("%d steps", steps)
	}
	one.Shutdown(context.Background())
	two.Shutdown(context.Background())
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestASpoolThatIsFullOrDeletedLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	server := newLab(t, nil)
	client := server.client(t, Config{SpoolDir: dir, FlushInterval: time.Hour, FlushAt: 1000})
	client.queue.spool.limit = 2000
	for n := 0; n < 30; n++ {
		_, step := client.Start(context.Background(), fmt.Sprint("step ", n))
		step.End()
	}
	for client.Stats().Waiting < 30 {
		time.Sleep(time.Millisecond)
	}
	if client.queue.spool.size > 2000 {
		t.Errorf("%d bytes", client.queue.spool.size)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	flushed(t, client)
	if steps := server.steps(); len(steps) != 30 {
		t.Errorf("%d steps", len(steps))
	}
	client.queue.spool.limit, client.queue.spool.current = 1<<20, nil // the next file cannot be made
	_, step := client.Start(context.Background(), "after")
	step.End()
	flushed(t, client)
	if server.steps()["after"] == nil || client.Stats().Dropped != 0 {
		t.Errorf("%+v", client.Stats())
	}
}
