package llmlab

import "encoding/json"

// results of the server's JSON door.
type results struct {
	Results []struct {
		Cost     *string `json:"cost_usd"`
		Unpriced int     `json:"unpriced_calls"`
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
	for i := len(told.Results); i < len(groups); i++ {
		groups[i].unpaid()
	}
	refused := 0
	for i, one := range told.Results {
		for _, rejected := range one.Rejected {
			refused++
			s.settings.tell.once("rejected "+rejected.Code, "LLMLab did not store a step (%s): %s", rejected.Code, rejected.Detail)
		}
		if len(one.Rejected) == 0 && one.Result == "rejected" {
			refused++
			s.settings.tell.once("rejected "+one.Code, "LLMLab did not store an entry (%s): %s", one.Code, one.Detail)
		}
		if i < len(groups) && groups[i].budget != nil {
			groups[i].budget.settle(ended(groups[i].packets), one.Cost, one.Unpriced > 0)
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
