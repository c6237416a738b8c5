package llmlab

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

const timeFormat = "2006-01-02T15:04:05.000000Z"

var (
	// What somebody said or was told: OmitContent and WithoutContent leave it out, and the messages of errors, which quote it.
	contents = []string{"input", "output", "tools"}
	// Ids, models and counts are facts, and no mask may bend them.
	maskedFields = []string{"input", "output", "tools", "metadata", "parameters", "attributes", "error"}
)

// item is a step with what its trace says, as the server's JSON door takes it.
func (s *settings) item(step *Step, isRunning bool) Item {
	whole := step.trace
	body := s.body(step, isRunning)
	whole.mu.Lock()
	defer whole.mu.Unlock()
	item := object{
		"trace_id": whole.id, "root_id": whole.root.id, "started_at": whole.root.started.UTC().Format(timeFormat),
		"name": whole.name, "steps": []any{body},
	}
	whole.root.mu.Lock()
	status, ended := whole.root.status, whole.root.ended
	whole.root.mu.Unlock()
	item["status"] = status
	if !whole.rootEncoded { // the server never changes a root that ended, and this one may yet have failed
		item["status"] = "running"
	} else {
		item["ended_at"] = ended.UTC().Format(timeFormat)
	}
	putText(item, "parent_id", whole.parentID)
	putText(item, "user", whole.user)
	putText(item, "session", whole.session)
	putText(item, "environment", s.Environment)
	putText(item, "release", s.Release)
	if len(whole.tags) > 0 {
		item["tags"] = whole.tags
	}
	if len(whole.metadata) > 0 {
		item["metadata"] = s.masked(copied(whole.metadata))
	}
	return item
}

// resolve parses what the step holds in bytes; what they say wins over what was known when it began.
func (step *Step) resolve() {
	step.mu.Lock()
	defer step.mu.Unlock()
	if step.late == nil {
		return
	}
	late := step.late
	step.late = nil
	if step.fields == nil {
		step.fields = object{}
	}
	for key, value := range late() {
		switch key {
		case "type":
			step.kind = text(value)
		case "name":
			step.name = text(value)
		case "status":
			step.status = text(value)
		default:
			step.fields[key] = value
		}
	}
}

func (s *settings) body(step *Step, isRunning bool) object {
	step.mu.Lock()
	defer step.mu.Unlock()
	body := object{}
	for key, value := range step.fields {
		body[key] = value
	}
	body["id"], body["type"], body["name"] = step.id, step.kind, step.name
	body["started_at"] = step.started.UTC().Format(timeFormat)
	putText(body, "parent_id", step.parentID)
	body["status"] = "running"
	if !isRunning {
		body["status"] = step.status
		body["ended_at"] = step.ended.UTC().Format(timeFormat)
	}
	if s.OmitContent || step.omitContent {
		for _, name := range contents {
			delete(body, name)
		}
		if failure := mapping(body["error"]); failure != nil {
			body["error"] = object{"type": failure["type"]}
		}
	}
	for _, name := range maskedFields {
		if value, ok := body[name]; ok {
			body[name] = s.masked(value)
		}
	}
	return body
}

// maskedScore: names and ids are facts.
func (s *settings) maskedScore(score object) object {
	masked := copied(score)
	for _, name := range []string{"reason", "value"} {
		if said, ok := score[name].(string); ok {
			masked[name] = s.masked(said)
		}
	}
	return masked
}

func (s *settings) masked(value any) any {
	if s.mask == nil && isFinished(value) {
		return value
	}
	switch value := value.(type) {
	case string:
		if s.mask != nil {
			return cut(s.mask(value), maxText)
		}
		return cut(value, maxText)
	case object:
		result := make(object, len(value))
		for key, item := range value {
			result[key] = s.masked(item)
		}
		return result
	case []any:
		result := make([]any, len(value))
		for i, item := range value {
			result[i] = s.masked(item)
		}
		return result
	case json.Number:
		return number(value)
	}
	return value
}

// isFinished: nothing in it has to be cut or written otherwise. Most values are, and need no copy.
func isFinished(value any) bool {
	switch value := value.(type) {
	case string:
		return len(value) <= maxText && utf8.ValidString(value)
	case object:
		for _, item := range value {
			if !isFinished(item) {
				return false
			}
		}
	case []any:
		for _, item := range value {
			if !isFinished(item) {
				return false
			}
		}
	case json.Number:
		return number(value) == any(value)
	}
	return true
}

// encoded is JSON without HTML escapes; what cannot be written (nothing we make) becomes null.
func encoded(value any) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return []byte("null")
	}
	return bytes.TrimRight(buffer.Bytes(), "\n")
}
