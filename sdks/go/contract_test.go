package llmlab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func contract(t *testing.T, name string) object {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "contract", name))
	if err != nil {
		t.Fatal(err)
	}
	value := objectOf(raw)
	if value == nil {
		t.Fatalf("%s is no JSON object", name)
	}
	return value
}

// same compares as JSON, in the form the server would get it.
func same(t *testing.T, got, expected any) {
	t.Helper()
	if one, other := asJSON(t, got), asJSON(t, expected); !reflect.DeepEqual(one, other) {
		t.Errorf("got      %s\nexpected %s", encoded(one), encoded(other))
	}
}

func asJSON(t *testing.T, value any) any {
	t.Helper()
	var parsed any
	if err := json.Unmarshal(encoded(value), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestCallsBecomeTheContractsSteps(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "contract", "calls", "*.json"))
	if len(files) < 30 {
		t.Fatalf("only %d fixtures", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			fixture := contract(t, filepath.Join("calls", name))
			made, eventNumber := callOf(t, fixture)
			step := stepOf(made)
			expected, isRecorded := fixture["step"].(object)
			if !isRecorded {
				if step != nil {
					t.Fatalf("recorded: %v", step)
				}
				return
			}
			first, hasFirst := step["time_to_first_token_ms"].(float64)
			delete(step, "time_to_first_token_ms")
			same(t, step, expected)
			if wanted, named := fixture["first_token"]; named {
				checkFirstToken(t, wanted, hasFirst, first, eventNumber)
			}
		})
	}
}

func checkFirstToken(t *testing.T, wanted any, has bool, ms float64, step time.Duration) {
	t.Helper()
	place, ok := index(wanted)
	if ok != has || (ok && ms != float64(step*time.Duration(place+1))/1e6) {
		t.Errorf("first token after %v ms (%v), expected event %v", ms, has, wanted)
	}
}

// callOf makes the call of a fixture; each event of a stream comes a millisecond after the one before.
func callOf(t *testing.T, fixture object) (*call, time.Duration) {
	t.Helper()
	request, response := mapping(fixture["request"]), mapping(fixture["response"])
	address, err := url.Parse(text(request["url"]))
	if err != nil {
		t.Fatal(err)
	}
	status, _ := index(response["status"])
	made := &call{method: text(request["method"]), url: address, status: status, header: http.Header{}, sentAt: time.Unix(1, 0)}
	made.body = bodyOf(t, request)
	for key, value := range mapping(response["headers"]) {
		made.header.Set(key, text(value))
	}
	if stream, ok := response["sse"].(string); ok {
		at := made.sentAt
		for _, part := range strings.SplitAfter(stream, "\n\n") {
			isEvent := strings.HasPrefix(part, "data:") || strings.Contains(part, "\ndata:")
			if isEvent {
				at = at.Add(time.Millisecond)
			}
			made.chunks = append(made.chunks, chunk{at, []byte(part)})
		}
		return made, time.Millisecond
	}
	made.chunks = []chunk{{made.sentAt, bodyOf(t, response)}}
	return made, time.Millisecond
}

func bodyOf(t *testing.T, side object) []byte {
	t.Helper()
	if raw, ok := side["base64"].(string); ok {
		decoded, err := base64.StdEncoding.DecodeString(raw)
		if err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	if raw, ok := side["text"].(string); ok {
		return []byte(raw)
	}
	if body, ok := side["body"]; ok {
		return encoded(body)
	}
	return nil
}

func TestTraceparent(t *testing.T) {
	cases := contract(t, "traceparent.json")
	for _, one := range objects(cases["extract"]) {
		t.Run(text(one["name"]), func(t *testing.T) {
			found, ok := parseTraceparent(text(one["header"]))
			expected := mapping(one["expected"])
			if ok != (expected != nil) {
				t.Fatalf("read: %v", ok)
			}
			if ok {
				same(t, object{"trace_id": found.traceID, "span_id": found.stepID, "sampled": found.sampled}, expected)
			}
		})
	}
	for _, one := range objects(cases["inject"]) {
		got := traceparent(text(one["trace_id"]), text(one["span_id"]), one["sampled"] == true)
		if got != text(one["header"]) {
			t.Errorf("got %s, expected %s", got, one["header"])
		}
	}
}

func TestSampling(t *testing.T) {
	for _, one := range objects(contract(t, "sampling.json")["cases"]) {
		for ratio, expected := range mapping(one["sampled"]) {
			var rate float64
			fmt.Sscan(ratio, &rate)
			if got := isSampled(text(one["trace_id"]), rate); got != expected {
				t.Errorf("%s at %s: %v", one["trace_id"], ratio, got)
			}
		}
	}
}

func TestMasks(t *testing.T) {
	for _, one := range objects(contract(t, "masks.json")["cases"]) {
		t.Run(text(one["name"]), func(t *testing.T) {
			var names []string
			for _, name := range one["masks"].([]any) {
				names = append(names, name.(string))
			}
			got := text(one["text"])
			if mask := masker(names, nil, newTeller(t.Logf)); mask != nil {
				got = mask(got)
			}
			if got != text(one["expected"]) {
				t.Errorf("got %q, expected %q", got, one["expected"])
			}
		})
	}
}
