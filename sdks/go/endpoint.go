package llmlab

import (
	"net/url"
	"regexp"
	"strings"
)

// endpoint is what an address stands for; shape says how its bodies are read.
type endpoint struct {
	shape, operation, provider, host, model string
	isStream                                bool
}

var (
	deploymentPattern = regexp.MustCompile(`/openai/deployments/([^/]+)/`)
	bedrockPattern    = regexp.MustCompile(`/model/([^/]+)/(invoke|invoke-with-response-stream)$`)
	vertexPattern     = regexp.MustCompile(`/models/([^/:]+):(rawPredict|streamRawPredict)$`)
	// Assistants keep their messages under this path; nothing is generated there.
	threadPattern = regexp.MustCompile(`/threads/[^/]+/messages$`)
	openAIPaths   = []struct{ end, shape, operation string }{
		{"/chat/completions", "chat", "chat"},
		{"/responses", "responses", "chat"},
		{"/embeddings", "embeddings", "embeddings"},
		{"/completions", "completions", "text_completion"},
	}
)

// endpointOf knows calls to a model by the end of their path, whatever the host or prefix; nil for what is not recorded.
func endpointOf(method string, address *url.URL) *endpoint {
	if !strings.EqualFold(method, "POST") || address == nil {
		return nil
	}
	path, host := strings.TrimRight(address.EscapedPath(), "/"), strings.ToLower(address.Hostname())
	switch {
	case threadPattern.MatchString(path):
		return nil
	case strings.HasSuffix(path, "/messages/batches"):
		return &endpoint{shape: "batches", operation: "messages.batches", provider: "anthropic", host: host}
	case strings.HasSuffix(path, "/messages"):
		return &endpoint{shape: "messages", operation: "chat", provider: "anthropic", host: host}
	}
	for _, known := range openAIPaths {
		if !strings.HasSuffix(path, known.end) {
			continue
		}
		found := &endpoint{shape: known.shape, operation: known.operation, provider: "openai", host: host}
		deployment := deploymentPattern.FindStringSubmatch(path)
		if deployment != nil {
			found.model, _ = url.PathUnescape(deployment[1])
		}
		isAzure := strings.HasSuffix(host, ".openai.azure.com") || strings.HasSuffix(host, ".cognitiveservices.azure.com")
		if isAzure || deployment != nil {
			found.provider = "azure"
		}
		return found
	}
	return hosted(host, path)
}

// hosted finds Anthropic's models at Amazon and Google, who put the model into the path.
func hosted(host, path string) *endpoint {
	for provider, pattern := range map[string]*regexp.Regexp{"aws.bedrock": bedrockPattern, "gcp.vertex_ai": vertexPattern} {
		if found := pattern.FindStringSubmatch(path); found != nil {
			model, _ := url.PathUnescape(found[1])
			isStream := strings.Contains(strings.ToLower(found[2]), "stream")
			return &endpoint{"messages", "chat", provider, host, model, isStream}
		}
	}
	return nil
}
