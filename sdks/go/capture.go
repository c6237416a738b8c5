package llmlab

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one call to a provider as the transport hands it over: references to bytes, nothing decoded.
type call struct {
	method  string
	url     *url.URL
	end     *endpoint // of the url, when known already
	body    []byte
	status  int // 0: no answer came
	header  http.Header
	chunks  []chunk
	sentAt  time.Time
	failure *failure
	isCut   bool // more came than is recorded
}

// chunk is what came at a time, still encoded as content-encoding says.
type chunk struct {
	at  time.Time
	raw []byte
}

type failure struct{ kind, message string }

// answer is one answer, whole or folded from a stream; zero values are not known.
type answer struct {
	model, responseID, finishReason, serviceTier string
	usage                                        object
	output                                       any
	failure                                      *failure
	attributes                                   object
	firstToken                                   time.Time
	isBroken                                     bool // a stream whose end never came
}

const maxErrorBody = 500

// What has a place of its own in a step, or says only how the answer is sent.
var notParameters = map[string]bool{
	"model": true, "messages": true, "input": true, "prompt": true, "instructions": true, "system": true, "tools": true,
	"stream": true, "stream_options": true,
}

// stepOf makes the step of a call, without ids and times; nil for a call that is not recorded. It runs in the background.
// sdks/contract/calls holds what it must do, for this SDK and for those of the other languages.
func stepOf(c *call) object {
	end := c.end
	if end == nil {
		end = endpointOf(c.method, c.url)
	}
	if end == nil {
		return nil
	}
	body := objectOf(c.body)
	step := requestOf(end, body)
	given := answerOf(c, end)
	isStream := end.isStream || body["stream"] == true || isEventStream(c.header.Get("Content-Type"))
	addAnswer(step, given, isStream)
	if isStream && !given.firstToken.IsZero() {
		waited := given.firstToken.Sub(c.sentAt)
		if waited < 0 {
			waited = 0
		}
		step["time_to_first_token_ms"] = float64(waited.Round(100*time.Microsecond)) / 1e6
	}
	for key, value := range step {
		if value == nil {
			delete(step, key)
		}
	}
	return step
}

func requestOf(end *endpoint, body object) object {
	attributes := object{}
	if end.host != "" {
		attributes["server.address"] = end.host
	}
	if end.shape == "batches" {
		requests, _ := body["requests"].([]any)
		attributes["requests"] = len(requests)
		return object{"type": "span", "name": end.operation, "provider": end.provider, "attributes": attributes}
	}
	step := object{
		"type": "llm", "name": end.operation, "operation": end.operation, "provider": end.provider,
		"attributes": attributes, "input": inputOf(end.shape, body),
	}
	if end.shape == "embeddings" {
		step["type"] = "embedding"
	}
	model := text(body["model"])
	if model == "" {
		model = end.model
	}
	putText(step, "request_model", model)
	putText(step, "model", model)
	if tools, ok := body["tools"].([]any); ok {
		step["tools"] = tools
	}
	parameters := object{}
	for key, value := range body {
		if !notParameters[key] {
			parameters[key] = value
		}
	}
	if len(parameters) > 0 {
		step["parameters"] = parameters
	}
	return step
}

func inputOf(shape string, body object) any {
	switch shape {
	case "chat":
		return body["messages"]
	case "messages":
		return withSystem(body["system"], body["messages"])
	case "completions":
		return body["prompt"]
	case "responses":
		if isEmpty(body["instructions"]) {
			return body["input"]
		}
		turns := body["input"]
		if said, ok := turns.(string); ok {
			turns = []any{object{"role": "user", "content": said}}
		}
		return withSystem(body["instructions"], turns)
	}
	return body["input"]
}

func withSystem(system, turns any) any {
	if isEmpty(system) {
		return turns
	}
	list, _ := turns.([]any)
	return append([]any{object{"role": "system", "content": system}}, list...)
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case object:
		return len(value) == 0
	case bool:
		return !value
	}
	return false
}

func answerOf(c *call, end *endpoint) (given *answer) {
	chunks := decoded(c)
	if c.isCut {
		// What is left of it is no answer; the end of a stream, where the usage is, is missing as well.
		if !isEventStream(c.header.Get("Content-Type")) {
			chunks = nil
		}
		defer func() { cutAt(given) }()
	}
	given = &answer{}
	contentType := c.header.Get("Content-Type")
	switch {
	case c.status >= 400:
		raw := joined(chunks)
		said := valid(string(raw))
		if runes := []rune(said); len(runes) > maxErrorBody {
			said = string(runes[:maxErrorBody])
		}
		given.failure = failureOf(objectOf(raw), fmt.Sprintf("HTTP %d", c.status), said)
		given.attributes = object{"http.status": c.status}
	case c.status > 0 && isEventStream(contentType) && folds[end.shape] != nil:
		given = folds[end.shape](eventsOf(chunks, contentType))
	case c.status > 0:
		body := objectOf(joined(chunks))
		given = reads[end.shape](body)
		if given.failure == nil && len(mapping(body["error"])) > 0 { // some proxies say 200 to it
			given.failure = failureOf(body, "error", "")
		}
	}
	if c.failure != nil && given.failure == nil {
		given.failure = c.failure
	}
	return given
}

// cutAt says that the rest of an answer was passed on and not recorded.
func cutAt(given *answer) {
	given.isBroken = false
	if given.attributes == nil {
		given.attributes = object{}
	}
	given.attributes["not_recorded"] = fmt.Sprintf("what came after the first %d MiB", maxRecorded>>20)
}

var (
	reads = map[string]func(object) *answer{
		"chat": readChat, "completions": readCompletion, "responses": readResponse, "embeddings": readEmbeddings,
		"messages": readMessage, "batches": readBatch,
	}
	folds = map[string]func([]event) *answer{
		"chat": foldChat, "completions": foldCompletion, "responses": foldResponse, "messages": foldMessage,
	}
)

func addAnswer(step object, given *answer, isStream bool) {
	attributes := step["attributes"].(object)
	step["status"] = "ok"
	if given.failure != nil {
		step["status"] = "error"
		step["error"] = object{"type": given.failure.kind, "message": given.failure.message}
	}
	for key, value := range given.attributes {
		attributes[key] = value
	}
	putText(step, "response_id", given.responseID)
	if step["type"] == "span" {
		return
	}
	putText(step, "model", given.model)
	putText(step, "finish_reason", given.finishReason)
	putText(step, "service_tier", given.serviceTier)
	step["output"] = given.output
	if !given.isBroken && len(given.usage) > 0 {
		step["usage"] = given.usage
	}
	if isStream {
		attributes["stream"] = true
	}
	if given.isBroken && given.failure == nil {
		attributes["stopped_reading"] = true
	}
}

func putText(step object, key, value string) {
	if value != "" {
		step[key] = value
	}
}

// text is the value if it is one; empty otherwise.
func text(value any) string {
	said, _ := value.(string)
	return said
}

// mapping is the value if it is an object.
func mapping(value any) object {
	found, _ := value.(object)
	return found
}

// objects are the objects of a list.
func objects(value any) []object {
	list, _ := value.([]any)
	var found []object
	for _, item := range list {
		if one, ok := item.(object); ok {
			found = append(found, one)
		}
	}
	return found
}

// oneOrList is a single value for itself, several as a list, nil for none.
func oneOrList(values []any) any {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	}
	return values
}

// failureOf reads an error body as OpenAI and Anthropic send it, or an error event.
func failureOf(body object, kind, message string) *failure {
	given := mapping(body["error"])
	if len(given) == 0 && body["type"] == "error" {
		given = object{}
		for key, value := range body {
			if key != "type" {
				given[key] = value
			}
		}
	}
	if code, ok := given["code"].(fmt.Stringer); ok { // a number
		kind = code.String()
	} else if said := text(given["code"]); said != "" {
		kind = said
	}
	if said := text(given["type"]); said != "" {
		kind = said
	}
	if said := text(given["message"]); said != "" {
		message = said
	}
	return &failure{kind, message}
}

func isEventStream(contentType string) bool {
	return strings.HasPrefix(contentType, "text/event-stream") || strings.HasPrefix(contentType, amazonEvents)
}
