"""Code to send the first trace with: real address, real project, real key.

Each is pasted and run as it is by tests/sdks/test_snippets.py. What calls a model wants OPENAI_API_KEY, like any
program of that vendor.
"""

import datetime as dt
import json
import secrets
from dataclasses import dataclass

from projects.sdk_downloads import GO_FOLDER, GO_MODULE, file_names, is_javascript_built

PLACEHOLDER = "llmlab_sk_YOUR_KEY"


@dataclass(frozen=True)
class Snippet:
    """One way to send data: what to install, if anything, and the code."""

    id: str
    label: str
    hint: str
    code: str
    install: str = ""


def snippets(*, base_url: str, project: str, key: str, now: dt.datetime) -> list[Snippet]:
    """Five ways: an SDK for three languages, OpenTelemetry for what is instrumented already, and curl for the rest."""
    files = {language: f"{base_url}/sdks/{name}" for language, name in file_names().items()}
    return [
        Snippet(
            "python",
            "Python",
            "Records openai and anthropic by itself; @trace makes a trace of a function. Save it as app.py.",
            _python(base_url, project, key),
            f'pip install "{files["python"]}" openai',
        ),
        Snippet(
            "javascript",
            "JavaScript",
            _JAVASCRIPT_HINT
            if is_javascript_built()
            else f"Run make sdk-build once where LLMLab runs: this package is not built there yet. {_JAVASCRIPT_HINT}",
            _javascript(base_url, project, key),
            f'npm install "{files["javascript"]}" openai',
        ),
        Snippet(
            "go",
            "Go",
            "Standard library only: calls through its transport are recorded, with any client. Inside your module:",
            _go(base_url, project, key),
            f'curl -fsS "{files["go"]}" | tar xz\n'
            f"go mod edit -replace {GO_MODULE}=./{GO_FOLDER}\n"
            f"go get {GO_MODULE}",
        ),
        Snippet(
            "otel",
            "OpenTelemetry",
            "Any program that is instrumented already: set these and start it.",
            _otel(base_url, key),
        ),
        Snippet("curl", "curl", "Plain JSON, no library.", _curl(base_url, project, key, now)),
    ]


_JAVASCRIPT_HINT = "Records openai and @anthropic-ai/sdk by itself. Save it as app.mjs; CommonJS programs require() it."


def _otel(base_url: str, key: str) -> str:
    return (
        f'export OTEL_EXPORTER_OTLP_ENDPOINT="{base_url}"\n'
        'export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"\n'
        f'export OTEL_EXPORTER_OTLP_HEADERS="x-api-key={key}"\n'
        'export OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true"'
    )


def _python(base_url: str, project: str, key: str) -> str:
    return f"""from llmlab import LLMLab, trace
from openai import OpenAI

llm = LLMLab(
    api_key="{key}",
    project="{project}",
    base_url="{base_url}",
)
llm.instrument()

@trace(tags=["first"])
def answer(question):
    reply = OpenAI().chat.completions.create(
        model="gpt-4o-mini",
        messages=[{{"role": "user", "content": question}}],
    )
    return reply.choices[0].message.content

print(answer("ping"))"""


def _javascript(base_url: str, project: str, key: str) -> str:
    return f"""import {{ LLMLab }} from "llmlab";
import OpenAI from "openai";

const llm = new LLMLab({{
  apiKey: "{key}",
  project: "{project}",
  baseUrl: "{base_url}",
}});
await llm.instrument();

await llm.trace("answer", {{ tags: ["first"] }}, async () => {{
  const reply = await new OpenAI().chat.completions.create({{
    model: "gpt-4o-mini",
    messages: [{{ role: "user", content: "ping" }}],
  }});
  console.log(reply.choices[0].message.content);
}});"""


def _go(base_url: str, project: str, key: str) -> str:
    return f"""package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	llmlab "{GO_MODULE}"
)

func main() {{
	llm := llmlab.New(llmlab.Config{{
		APIKey:  "{key}",
		Project: "{project}",
		BaseURL: "{base_url}",
	}})
	defer llm.Shutdown(context.Background())

	ctx, step := llm.Start(context.Background(), "answer", llmlab.WithTags("first"))
	defer step.End()
	client := &http.Client{{Transport: llm.Transport(nil)}}

	url := "https://api.openai.com/v1/chat/completions"
	body := `{{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "ping"}}]}}`
	request, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {{
		log.Print(err)
		return
	}}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {{
		log.Print(err)
		return
	}}
	defer response.Body.Close()
	io.Copy(os.Stdout, response.Body)
}}"""


def _curl(base_url: str, project: str, key: str, now: dt.datetime) -> str:
    started_at = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    step = {
        "id": secrets.token_hex(8),
        "type": "llm",
        "name": "answer",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 812,
        "output_tokens": 96,
        "started_at": started_at,
        "latency_ms": 640,
        "input": "Where is my order?",
        "output": "It is on its way.",
    }
    trace = {
        "trace_id": secrets.token_hex(16),
        "name": "first trace",
        "status": "ok",
        "started_at": started_at,
        "duration_ms": 640,
        "steps": [step],
    }
    body = json.dumps({"traces": [trace]}, indent=2)
    return (
        f"curl {base_url}/api/v1/projects/{project}/traces \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )
