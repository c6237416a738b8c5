package llmlab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
