package llmlab

import (
	"context"
	"errors"
	"testing"
)

// batchOf is a group of so many ended steps under a budget, as the sender settles it.
func batchOf(budget *Budget, count int, wasTried bool) ([]packet, []group) {
	var packets []packet
	for n := 0; n < count; n++ {
		budget.begun()
		packets = append(packets, packet{budget: budget, wasTried: wasTried})
	}
	return packets, []group{{packets: packets, budget: budget}}
}

func TestWhatTheServerSaysOfCosts(t *testing.T) {
	for name, one := range map[string]struct {
		steps    int
		wasTried bool
		answer   string
		spent    string
		unknown  int
	}{
		"priced":            {2, false, `{"results":[{"calls":2,"unpriced_calls":0,"cost_usd":"0.3"}]}`, "0.300000000000", 0},
		"one unpriced":      {2, false, `{"results":[{"calls":2,"unpriced_calls":1,"cost_usd":"0.1"}]}`, "0.100000000000", 1},
		"inner ones only":   {2, false, `{"results":[{"calls":1,"unpriced_calls":0,"cost_usd":"0.1"}]}`, "0.100000000000", 0},
		"charged before":    {2, true, `{"results":[{"calls":0,"unpriced_calls":0,"cost_usd":null,"steps":{"duplicate":2}}]}`, "0.000000000000", 2},
		"tried, not stored": {1, true, `{"results":[{"calls":1,"unpriced_calls":0,"cost_usd":"0.1","steps":{"stored":1}}]}`, "0.100000000000", 0},
		"rejected":          {1, false, `{"results":[{"result":"rejected","code":"x","cost_usd":null,"calls":0,"unpriced_calls":0,"rejected":[{"code":"x"}]}]}`, "0.000000000000", 1},
		"by index":          {1, false, `{"results":[{"index":7,"cost_usd":"9"},{"index":0,"cost_usd":"0.2"}]}`, "0.200000000000", 0},
		"said nothing":      {2, false, `{"results":[]}`, "0.000000000000", 2},
		"no number":         {1, false, `{"results":[{"cost_usd":"much"}]}`, "0.000000000000", 1},
	} {
		t.Run(name, func(t *testing.T) {
			client := newLab(t, nil).client(t, Config{})
			ctx, budget := client.Budget(context.Background(), "1", true)
			packets, groups := batchOf(budget, one.steps, one.wasTried)
			client.sender.settle(packets, groups, []byte(one.answer))
			if budget.Spent() != one.spent || budget.unlearnt != one.unknown || budget.pending != 0 {
				t.Errorf("%s spent, %d unknown, %d pending", budget.Spent(), budget.unlearnt, budget.pending)
			}
			if refused := errors.Is(budget.check(ctx), ErrBudgetExceeded); refused != (one.unknown > 0) {
				t.Errorf("refused: %v", refused)
			}
		})
	}
}
