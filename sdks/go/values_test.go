package llmlab

import (
	"context"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestValuesAreWrittenAsTheContractSays(t *testing.T) {
	for _, one := range objects(contract(t, "values.json")["cases"]) {
		t.Run(text(one["name"]), func(t *testing.T) {
			value, known := one["value"]
			if made := mapping(one["make"]); made != nil {
				if value, known = madeValue(made); !known {
					t.Skip("Go has no such thing")
				}
			}
			checkValue(t, plain(value), one["expected"])
		})
	}
}

// madeValue builds what JSON cannot say.
func madeValue(made object) (any, bool) {
	switch {
	case made["integer"] != nil:
		number, ok := new(big.Int).SetString(text(made["integer"]), 10)
		return number, ok
	case made["number"] != nil:
		return map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}[text(made["number"])], true
	case made["bytes"] != nil:
		count, _ := index(made["bytes"])
		return make([]byte, count), true
	case made["time"] != nil:
		at, err := time.Parse(time.RFC3339Nano, text(made["time"]))
		return at, err == nil
	case made["circular"] == "list":
		list := make([]any, 1)
		list[0] = list
		return list, true
	case made["circular"] == "object":
		circle := object{}
		circle["self"] = circle
		return circle, true
	case made["twice"] != nil:
		return []any{made["twice"], made["twice"]}, true
	case made["repeat"] != nil:
		times, _ := index(made["times"])
		return strings.Repeat(text(made["repeat"]), times), true
	}
	return nil, false // decimals
}

func checkValue(t *testing.T, got, expected any) {
	t.Helper()
	rule := mapping(expected)
	switch {
	case rule["text_or_number"] != nil:
		if written := strings.Trim(string(encoded(got)), `"`); written != text(rule["text_or_number"]) {
			t.Errorf("got %s", written)
		}
	case rule["starts_with"] != nil:
		if !strings.HasPrefix(text(got), text(rule["starts_with"])) {
			t.Errorf("got %v", got)
		}
	case rule["repeat"] != nil:
		times, _ := index(rule["times"])
		if got != strings.Repeat(text(rule["repeat"]), times)+text(rule["then"]) {
			t.Errorf("got %d characters", len(text(got)))
		}
	default:
		same(t, got, expected)
	}
}

func TestValuesThatAreEndlessWrittenOutAreCut(t *testing.T) {
	list := []any{}
	for n := 0; n < 18; n++ {
		list = []any{list, list, list, list, list, list, list, list}
	}
	client := New(Config{Exporter: func(Item) {}})
	_, step := client.Start(nil, "bomb", nil) //nolint:staticcheck // a program may
	step.SetInput(list)
	step.End()
	Inject(context.Background(), nil)
	if !client.Shutdown(context.Background()) {
		t.Error("not written")
	}
}
