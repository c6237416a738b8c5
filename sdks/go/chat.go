package llmlab

// OpenAI's chat completions and the older text completions, whole and streamed.

var messageTexts = []string{"content", "refusal", "reasoning_content", "reasoning"}

func readChat(body object) *answer {
	given, choices := headOf(body), objects(body["choices"])
	var messages []any
	for _, choice := range choices {
		if !isEmpty(choice["message"]) {
			messages = append(messages, choice["message"])
		}
	}
	given.output = oneOrList(messages)
	return finished(given, choices)
}

func readCompletion(body object) *answer {
	given, choices := headOf(body), objects(body["choices"])
	var texts []any
	for _, choice := range choices {
		if said, ok := choice["text"].(string); ok {
			texts = append(texts, said)
		}
	}
	given.output = oneOrList(texts)
	return finished(given, choices)
}

func headOf(body object) *answer {
	return &answer{
		model: text(body["model"]), responseID: text(body["id"]), serviceTier: text(body["service_tier"]),
		usage: mapping(body["usage"]),
	}
}

func finished(given *answer, choices []object) *answer {
	if len(choices) > 0 {
		given.finishReason = text(choices[0]["finish_reason"])
	}
	return given
}

// choice is one choice of a stream as far as it came.
type choice struct {
	message      object
	calls        map[int]object
	finishReason any
	text         string
}

// add takes a delta in; true when it brought something the model wrote.
func (c *choice) add(delta object) bool {
	isToken := false
	if _, known := c.message["role"]; !known && text(delta["role"]) != "" {
		c.message["role"] = delta["role"]
	}
	for _, name := range messageTexts {
		if piece, ok := delta[name].(string); ok {
			c.message[name] = text(c.message[name]) + piece
			isToken = isToken || piece != ""
		}
	}
	function := mapping(delta["function_call"])
	if len(function) > 0 {
		if c.message["function_call"] == nil {
			c.message["function_call"] = object{}
		}
		addFunction(mapping(c.message["function_call"]), function, "arguments")
	}
	calls := objects(delta["tool_calls"])
	for _, piece := range calls {
		c.addCall(piece)
	}
	return isToken || len(function) > 0 || len(calls) > 0
}

func (c *choice) addCall(piece object) {
	place, ok := index(piece["index"])
	if !ok {
		// Without an index a call that names itself is a new one, another goes on with the last.
		if known := places(c.calls); len(known) > 0 {
			place = known[len(known)-1]
			if !isEmpty(piece["id"]) {
				place++
			}
		}
	}
	call := c.calls[place]
	if call == nil {
		call = object{}
		c.calls[place] = call
	}
	for _, name := range []string{"id", "type"} {
		if _, known := call[name]; !known && text(piece[name]) != "" {
			call[name] = piece[name]
		}
	}
	for name, pieces := range map[string]string{"function": "arguments", "custom": "input"} {
		if part, ok := piece[name].(object); ok {
			if call[name] == nil {
				call[name] = object{}
			}
			addFunction(mapping(call[name]), part, pieces)
		}
	}
}

func addFunction(function, piece object, pieces string) {
	if _, known := function["name"]; !known && text(piece["name"]) != "" {
		function["name"] = piece["name"]
	}
	if part, ok := piece[pieces].(string); ok {
		function[pieces] = text(function[pieces]) + part
	}
}

func (c *choice) whole() object {
	if len(c.calls) > 0 {
		var calls []any
		for _, place := range places(c.calls) {
			calls = append(calls, c.calls[place])
		}
		c.message["tool_calls"] = calls
	}
	return c.message
}

func foldChat(events []event) *answer {
	given, choices := foldChoices(events)
	var messages []any
	for _, place := range places(choices) {
		messages = append(messages, choices[place].whole())
	}
	given.output = oneOrList(messages)
	return given
}

func foldCompletion(events []event) *answer {
	given, choices := foldChoices(events)
	var texts []any
	for _, place := range places(choices) {
		texts = append(texts, choices[place].text)
	}
	given.output = oneOrList(texts)
	return given
}

func foldChoices(events []event) (*answer, map[int]*choice) {
	given, isDone := &answer{}, false
	choices := map[int]*choice{}
	for _, one := range events {
		isDone = isDone || one.isDone
		if one.data == nil {
			continue
		}
		if len(mapping(one.data["error"])) > 0 || one.name == "error" {
			given.failure = failureOf(one.data, "stream_error", "")
		}
		addHead(given, one.data)
		for _, piece := range objects(one.data["choices"]) {
			if addChoice(choices, piece) && given.firstToken.IsZero() {
				given.firstToken = one.at
			}
		}
	}
	isWhole := len(choices) > 0
	for _, part := range choices {
		isWhole = isWhole && !isEmpty(part.finishReason)
	}
	if known := places(choices); len(known) > 0 {
		given.finishReason = text(choices[known[0]].finishReason)
	}
	given.isBroken = !isDone && !isWhole
	return given, choices
}

func addHead(given *answer, chunk object) {
	if given.model == "" {
		given.model = text(chunk["model"])
	}
	if given.responseID == "" {
		given.responseID = text(chunk["id"])
	}
	if tier := text(chunk["service_tier"]); tier != "" {
		given.serviceTier = tier
	}
	// Some servers tell the usage so far with each chunk: the last one counts.
	if usage := mapping(chunk["usage"]); len(usage) > 0 {
		given.usage = usage
	}
}

func addChoice(choices map[int]*choice, piece object) bool {
	place, _ := index(piece["index"])
	part := choices[place]
	if part == nil {
		part = &choice{message: object{}, calls: map[int]object{}}
		choices[place] = part
	}
	if !isEmpty(piece["finish_reason"]) {
		part.finishReason = piece["finish_reason"]
	}
	written := text(piece["text"])
	part.text += written
	return part.add(mapping(piece["delta"])) || written != ""
}
