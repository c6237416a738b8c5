package llmlab

import "strings"

// Anthropic's messages, whole and streamed, wherever they are hosted, and the creation of batches.

func readMessage(body object) *answer {
	given := &answer{
		model: text(body["model"]), responseID: text(body["id"]), finishReason: text(body["stop_reason"]),
		usage: mapping(body["usage"]),
	}
	given.serviceTier = text(given.usage["service_tier"])
	if content, ok := body["content"]; ok {
		role := text(body["role"])
		if role == "" {
			role = "assistant"
		}
		given.output = object{"role": role, "content": content}
	}
	return given
}

func readBatch(body object) *answer { return &answer{responseID: text(body["id"])} }

// messageFold is a message of a stream as far as it came.
type messageFold struct {
	message object
	blocks  map[int]object
	inputs  map[int]string
	answer  answer
	isWhole bool
}

func foldMessage(events []event) *answer {
	fold := messageFold{blocks: map[int]object{}, inputs: map[int]string{}}
	for _, one := range events {
		fold.add(one)
	}
	given := &answer{}
	if fold.message != nil {
		fold.message["content"] = fold.content()
		given = readMessage(fold.message)
	}
	given.isBroken = !fold.isWhole
	given.failure, given.firstToken = fold.answer.failure, fold.answer.firstToken
	return given
}

func (f *messageFold) add(one event) {
	place, hasPlace := index(one.data["index"])
	switch {
	case one.name == "message_start":
		f.message = copied(mapping(one.data["message"]))
		f.message["usage"] = copied(mapping(f.message["usage"]))
	case one.name == "content_block_start" && hasPlace:
		f.blocks[place] = copied(mapping(one.data["content_block"]))
		if strings.HasSuffix(text(f.blocks[place]["type"]), "tool_use") {
			f.token(one)
		}
	case one.name == "content_block_delta" && hasPlace:
		f.token(one)
		f.addDelta(place, mapping(one.data["delta"]))
	case one.name == "message_delta":
		f.addEnd(one.data)
	case one.name == "message_stop":
		f.isWhole = true
	case one.name == "error":
		f.answer.failure = failureOf(one.data, "stream_error", "")
	}
}

func (f *messageFold) token(one event) {
	if f.answer.firstToken.IsZero() {
		f.answer.firstToken = one.at
	}
}

func (f *messageFold) addDelta(place int, delta object) {
	block := f.blocks[place]
	if block == nil {
		block = object{}
		f.blocks[place] = block
	}
	switch text(delta["type"]) {
	case "input_json_delta":
		f.inputs[place] += text(delta["partial_json"])
	case "citations_delta":
		known, _ := block["citations"].([]any)
		block["citations"] = append(known[:len(known):len(known)], delta["citation"])
	default:
		// text_delta, thinking_delta, signature_delta: each brings one piece under its own name.
		for _, name := range []string{"text", "thinking", "signature"} {
			if piece := text(delta[name]); piece != "" {
				block[name] = text(block[name]) + piece
			}
		}
	}
}

func (f *messageFold) addEnd(data object) {
	if f.message == nil {
		f.message = object{"usage": object{}}
	}
	for key, value := range mapping(data["delta"]) {
		if !isEmpty(value) {
			f.message[key] = value
		}
	}
	// Counts are running totals: they replace, they are never added.
	for key, value := range mapping(data["usage"]) {
		if value != nil {
			mapping(f.message["usage"])[key] = value
		}
	}
}

func (f *messageFold) content() []any {
	for place, written := range f.inputs {
		if written == "" {
			continue
		}
		if value := valueOf([]byte(written)); value != nil {
			f.blocks[place]["input"] = value
		} else {
			f.blocks[place]["input"] = written
		}
	}
	blocks := []any{}
	for _, place := range places(f.blocks) {
		blocks = append(blocks, f.blocks[place])
	}
	return blocks
}

func copied(from object) object {
	result := make(object, len(from)+1)
	for key, value := range from {
		result[key] = value
	}
	return result
}
