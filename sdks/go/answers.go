package llmlab

import "encoding/json"

// results of the server's JSON door.
type results struct {
	Results []struct {
		Index    *int    `json:"index"`
		Cost     *string `json:"cost_usd"`
		Calls    *int    `json:"calls"`
		Unpriced *int    `json:"unpriced_calls"`
		Steps    any     `json:"steps"`
		Status   any     `json:"status"`
		Rejected []struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		} `json:"rejected"`
		Result string `json:"result"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	} `json:"results"`
}

func (s *sender) settle(batch []packet, groups []group, answer []byte) {
	var told results
	_ = json.Unmarshal(answer, &told)
	refused, isTold := 0, map[int]bool{}
	for i, one := range told.Results {
		for _, rejected := range one.Rejected {
			refused++
			s.settings.tell.once("rejected "+rejected.Code, "LLMLab did not store a step (%s): %s", rejected.Code, rejected.Detail)
		}
		code, _ := one.Status.(float64)
		if len(one.Rejected) == 0 && (one.Result == "rejected" || code >= 400) {
			refused++
			s.settings.tell.once("rejected "+one.Code, "LLMLab did not store an entry (%s): %s", one.Code, one.Detail)
		}
		if one.Index != nil {
			i = *one.Index
		}
		if i < 0 || i >= len(groups) || groups[i].budget == nil || isTold[i] {
			continue
		}
		isTold[i] = true
		steps, mapped := ended(groups[i].packets), mapping(one.Steps)
		duplicates, _ := mapped["duplicate"].(float64)
		unknown := steps
		switch {
		case one.Calls != nil && one.Unpriced != nil:
			unknown = *one.Unpriced
			// The server charges the innermost of nested calls only, so fewer calls than steps is right; unless an
			// earlier answer got lost: then they were charged before, and nobody told us how much.
			if missing := steps - *one.Calls; missing > 0 && duplicates > 0 && groups[i].wasTried() {
				unknown += missing
			}
		case one.Cost != nil:
			unknown = 0
		}
		groups[i].budget.settle(steps, one.Cost, unknown+len(one.Rejected))
	}
	for i, one := range groups {
		if !isTold[i] {
			one.unpaid()
		}
	}
	s.rejected.Add(int64(refused))
	s.sent.Add(int64(len(batch) - refused))
	s.queue.done(batch)
}

// unpaid: the server said nothing of what these cost.
func (g group) unpaid() {
	for n := ended(g.packets); n > 0 && g.budget != nil; n-- {
		g.budget.unknown()
	}
}

func (g group) wasTried() bool {
	for _, p := range g.packets {
		if p.wasTried {
			return true
		}
	}
	return false
}

func ended(packets []packet) int {
	count := 0
	for _, p := range packets {
		if !p.isRunning {
			count++
		}
	}
	return count
}

func detailOf(answer []byte) string {
	if detail := text(objectOf(answer)["detail"]); detail != "" {
		return cut(detail, 300)
	}
	return cut(string(answer), 300)
}
