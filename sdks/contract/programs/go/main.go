// The contract's program in Go; what it does is said in ../README.md. Go's clients of the providers are not used: the
// requests are made by hand, as any client behind the recording transport would.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	llmlab "github.com/llmlab/llmlab/sdks/go"
)

type object = map[string]any

const block = 50

var (
	provider = os.Getenv("PROVIDER_URL")
	llm      = llmlab.New(llmlab.Config{})
	client   = &http.Client{Transport: llm.Transport(nil)}
	bare     = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
)

// PaymentError is the story's failure.
type PaymentError struct{}

func (PaymentError) Error() string     { return "card declined" }
func (PaymentError) ErrorType() string { return "PaymentError" }

func post(ctx context.Context, with *http.Client, path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, provider+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer sk-simulated")
	response, err := with.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func ask(ctx context.Context, with *http.Client, said, model string) error {
	return post(ctx, with, "/v1/chat/completions", object{"model": model, "messages": user(said)})
}

func user(said string) []object { return []object{{"role": "user", "content": said}} }

func story() (object, error) {
	ctx, refund := llm.Start(context.Background(), "refund", llmlab.WithType("agent"), llmlab.WithUser("u-42"), llmlab.WithSession("s-7"),
		llmlab.WithTags("contract", "story"), llmlab.WithMetadata(object{"plan": "pro", "attempt": 2}))
	_, lookup := llm.Start(ctx, "lookup", llmlab.WithType("retrieval"), llmlab.WithInput(object{"query": "Where is my refund?"}))
	lookup.SetOutput([]object{{"id": "d1", "score": 0.75}})
	lookup.End()
	shop := append([]object{{"role": "system", "content": "You answer for a shop."}}, user("Where is my refund?")...)
	requests := []struct {
		path string
		body object
	}{
		{"/v1/chat/completions", object{"model": "gpt-5-mini", "temperature": 0.2, "messages": shop}},
		{"/v1/chat/completions", object{"model": "gpt-4o-mini", "messages": user("Write a short answer."), "stream": true}},
		{"/v1/messages", object{"model": "claude-sonnet-4-5", "max_tokens": 200, "messages": user("Summarise the case."), "stream": true}},
		{"/v1/responses", object{"model": "gpt-5-mini", "input": "Name the next step."}},
		{"/v1/embeddings", object{"model": "text-embedding-3-small", "input": "refund policy", "encoding_format": "float"}},
	}
	for _, one := range requests {
		if err := post(ctx, client, one.path, one.body); err != nil {
			return nil, err
		}
	}
	_, charge := llm.Start(ctx, "charge", llmlab.WithType("tool"), llmlab.WithInput(object{"amount": "12.50"}))
	charge.SetError(PaymentError{})
	charge.End()
	if err := ask(ctx, client, "Too long.", "gpt-5-mini+too_long"); err != nil {
		return nil, err
	}
	llm.Score(ctx, "helpful", 1, llmlab.ScoreComment("by hand"))
	refund.SetOutput("done")
	refund.End()
	return object{"trace_id": refund.TraceID(), "flushed": flush(30 * time.Second)}, nil
}

func flush(wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return llm.Flush(ctx)
}

func calls(number int) (object, error) {
	name := os.Getenv("CALLER")
	if name == "" {
		name = "go"
	}
	numbers := make(chan int)
	var all sync.WaitGroup
	var failed error
	for worker := 0; worker < 8; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range numbers {
				if err := ask(context.Background(), client, fmt.Sprintf("Case %d of %s", n, name), "gpt-5-mini"); err != nil {
					failed = err
				}
			}
		}()
	}
	for n := 0; n < number; n++ {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return object{"calls": number, "flushed": llm.Shutdown(ctx)}, failed
}

func overhead(number int) (object, error) {
	times := map[bool][]float64{}
	for n := -2; n < 2*number/block; n++ { // the first two warm up
		with, isWatched := bare, n%2 == 0
		if isWatched {
			with = client
		}
		for i := 0; i < block; i++ {
			started := time.Now()
			if err := ask(context.Background(), with, "Where is my refund?", "gpt-5-mini"); err != nil {
				return nil, err
			}
			if n >= 0 {
				times[isWatched] = append(times[isWatched], float64(time.Since(started).Nanoseconds())/1000)
			}
		}
	}
	without, watched := median(times[false]), median(times[true])
	return object{"bare_us": without, "instrumented_us": watched, "overhead_us": watched - without}, nil
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func memory(number int) (object, error) {
	before, peak := 0.0, 0.0
	for n := 0; n < number; n++ {
		if err := ask(context.Background(), client, fmt.Sprintf("Case %d", n), "gpt-5-mini"); err != nil {
			return nil, err
		}
		if n == 1000 {
			before = residentMiB()
		}
		if now := residentMiB(); n > 1000 && n%500 == 0 && now > peak {
			peak = now
		}
	}
	dropped := llm.Stats().Dropped
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	llm.Shutdown(ctx)
	return object{"before_mib": before, "peak_mib": peak, "dropped": dropped}, nil
}

func residentMiB() float64 {
	raw, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.ParseFloat(strings.Fields(string(raw) + " 0 0")[1], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}

func serve(port string) error {
	answer := func(writer http.ResponseWriter, request *http.Request) {
		ctx, step := llm.Start(llmlab.Extract(request.Context(), request.Header), "answer")
		err := ask(ctx, client, "Asked by another service.", "gpt-5-mini")
		step.SetError(err)
		step.End()
		flush(10 * time.Second)
	}
	fmt.Println("ready")
	return http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(answer))
}

func askService(url string) (object, error) {
	ctx, step := llm.Start(context.Background(), "ask", llmlab.WithType("agent"))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	llmlab.Inject(ctx, request.Header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	step.End()
	flush(10 * time.Second)
	return object{"trace_id": step.TraceID()}, nil
}

func run(command string, argument string) (object, error) {
	number, _ := strconv.Atoi(argument)
	switch command {
	case "story":
		return story()
	case "calls":
		return calls(number)
	case "overhead":
		return overhead(number)
	case "memory":
		return memory(number)
	case "serve":
		return nil, serve(argument)
	case "ask":
		return askService(argument)
	}
	return nil, errors.New("no such command: " + command)
}

func main() {
	told, err := run(os.Args[1], strings.Join(os.Args[2:], ""))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	line, _ := json.Marshal(told)
	fmt.Println(string(line))
}
