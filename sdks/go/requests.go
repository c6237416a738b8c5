package llmlab

import (
	"bytes"
	"net/url"
)

// group is one item of a request: packets of one part of a trace under one budget.
type group struct {
	packets []packet
	budget  *Budget
}

func (s *sender) request(batch []packet) (path string, body []byte, groups []group) {
	base := s.settings.BaseURL + "/api/v1/projects/" + url.PathEscape(s.settings.Project)
	var whole bytes.Buffer
	if batch[0].kind == scorePacket {
		whole.WriteString(`{"scores":[`)
		for i, p := range batch {
			comma(&whole, i)
			whole.Write(p.body)
		}
		whole.WriteString("]}")
		return base + "/scores", whole.Bytes(), nil
	}
	type groupKey struct {
		key    string
		budget *Budget
	}
	known := map[groupKey]int{}
	for _, p := range batch {
		key := groupKey{p.key, p.budget}
		at, ok := known[key]
		if !ok {
			at = len(groups)
			known[key] = at
			groups = append(groups, group{budget: p.budget})
		}
		groups[at].packets = append(groups[at].packets, p)
	}
	whole.WriteString(`{"traces":[`)
	for i, one := range groups {
		comma(&whole, i)
		head := one.packets[len(one.packets)-1].head // the newest knows most
		whole.Write(head[:len(head)-1])
		whole.WriteString(`,"steps":[`)
		for j, p := range one.packets {
			comma(&whole, j)
			whole.Write(p.body)
		}
		whole.WriteString("]}")
	}
	whole.WriteString("]}")
	return base + "/traces", whole.Bytes(), groups
}

func comma(buffer *bytes.Buffer, i int) {
	if i > 0 {
		buffer.WriteByte(',')
	}
}
