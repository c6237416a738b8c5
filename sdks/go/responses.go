package llmlab

import "strings"

// OpenAI's Responses, whole and streamed, and embeddings.

func readResponse(body object) *answer {
	given := headOf(body)
	if output, ok := body["output"].([]any); ok {
		given.output = output
	}
	switch text(body["status"]) {
	case "completed":
		given.finishReason = "stop"
	case "incomplete":
		given.finishReason = text(mapping(body["incomplete_details"])["reason"])
	case "failed":
		given.failure = failureOf(body, "failed", "")
	}
	return given
}

// readEmbeddings counts the vectors; what is in them is not kept.
func readEmbeddings(body object) *answer {
	given := &answer{model: text(body["model"]), usage: mapping(body["usage"])}
	if vectors, ok := body["data"].([]any); ok {
		given.attributes = object{"vectors": len(vectors)}
	}
	return given
}

// foldResponse reads the response that the last event brings; of a stream that broke off, what was done by then.
func foldResponse(events []event) *answer {
	var opening object
	var whole *answer
	var failed *failure
	items, texts := map[int]any{}, map[int]string{}
	first := answer{}
	for _, one := range events {
		if strings.HasSuffix(one.name, ".delta") && first.firstToken.IsZero() {
			first.firstToken = one.at
		}
		switch one.name {
		case "response.completed", "response.incomplete", "response.failed":
			whole = readResponse(mapping(one.data["response"]))
		case "response.created", "response.in_progress":
			if given := mapping(one.data["response"]); len(given) > 0 {
				opening = given
			}
		case "error":
			failed = failureOf(one.data, "stream_error", "")
		default:
			keep(one, items, texts)
		}
	}
	given := whole
	if given == nil {
		given = readResponse(opening)
		given.isBroken, given.finishReason = true, ""
		given.output = soFar(items, texts)
	}
	if failed != nil {
		given.failure = failed
	}
	given.firstToken = first.firstToken
	return given
}

func keep(one event, items map[int]any, texts map[int]string) {
	place, ok := index(one.data["output_index"])
	if !ok {
		return
	}
	if one.name == "response.output_item.done" && len(mapping(one.data["item"])) > 0 {
		items[place] = one.data["item"]
	} else if one.name == "response.output_text.delta" {
		texts[place] += text(one.data["delta"])
	}
}

// soFar is the items that were done, and the text of those that were not.
func soFar(items map[int]any, texts map[int]string) any {
	parts := map[int]any{}
	for place, written := range texts {
		parts[place] = object{
			"type": "message", "role": "assistant",
			"content": []any{object{"type": "output_text", "text": written}},
		}
	}
	for place, item := range items {
		parts[place] = item
	}
	var output []any
	for _, place := range places(parts) {
		output = append(output, parts[place])
	}
	if output == nil {
		return nil
	}
	return output
}
