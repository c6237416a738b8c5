"""Code that calls models through the gateway, and what users of other gateways change (pure)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

MODEL, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"
SAID = {"role": "user", "content": "Say hello."}


@dataclass(frozen=True)
class Code:
    """One client in one language."""

    id: str
    label: str
    code: str
    install: str = ""


@dataclass(frozen=True)
class Language:
    """The two official clients in one language."""

    label: str
    codes: tuple[Code, ...]


@dataclass(frozen=True)
class Switch:
    """What somebody who comes from another gateway changes, and what of theirs is understood as it is."""

    name: str
    change: str
    headers: tuple[str, ...]


def languages(*, base_url: str, key: str) -> list[Language]:
    """The openai and anthropic clients in Python and JavaScript, and both wires by curl."""
    chat = _curl(base_url, "/v1/chat/completions", f"Authorization: Bearer {key}", {"model": MODEL})
    limit = {"model": CLAUDE, "max_tokens": 200}
    messages = _curl(base_url, "/v1/messages", f"x-api-key: {key}", limit)
    sdk = "@anthropic-ai/sdk"
    python = (
        Code("gateway-python-openai", "openai", _python_openai(base_url, key), "pip install openai"),
        Code(
            "gateway-python-anthropic", "anthropic", _python_anthropic(base_url, key),
            "pip install anthropic",
        ),
    )  # fmt: skip
    javascript = (
        Code("gateway-js-openai", "openai", _js_openai(base_url, key), "npm install openai"),
        Code("gateway-js-anthropic", sdk, _js_anthropic(base_url, key), f"npm install {sdk}"),
    )
    curl = (
        Code("gateway-curl-openai", "OpenAI's wire", chat),
        Code("gateway-curl-anthropic", "Anthropic's wire", messages),
    )
    return [Language("Python", python), Language("JavaScript", javascript), Language("curl", curl)]


def switches(*, base_url: str) -> list[Switch]:
    """LiteLLM, Helicone, Portkey: the host changes, their headers stay. All of them: docs/gateway.md."""
    return [
        Switch(
            "LiteLLM",
            f"The proxy's address becomes {base_url}/v1, its virtual key one of LLMLab.",
            (
                "x-litellm-api-key", "x-litellm-end-user-id", "x-litellm-customer-id", "x-litellm-session-id",
                "x-litellm-tags", "x-litellm-agent-id", "x-litellm-trace-id", "x-litellm-spend-logs-metadata",
                "x-litellm-timeout", "x-litellm-stream-timeout", "x-litellm-num-retries",
                "x-litellm-enable-message-redaction",
            ),
        ),
        Switch(
            "Helicone",
            f"Its host becomes {base_url}/v1; Helicone-Auth holds a key of LLMLab.",
            (
                "Helicone-Auth", "Helicone-User-Id", "Helicone-Session-Id", "Helicone-Session-Name",
                "Helicone-Session-Path", "Helicone-Property-*", "Helicone-Prompt-Id", "Helicone-Cache-Enabled",
                "Helicone-Cache-Seed", "Helicone-Retry-Enabled", "Helicone-Omit-Request", "Helicone-Omit-Response",
            ),
        ),
        Switch(
            "Portkey",
            f"Its base URL becomes {base_url}/v1; x-portkey-api-key holds a key of LLMLab.",
            (
                "x-portkey-api-key", "x-portkey-metadata", "x-portkey-trace-id", "x-portkey-request-timeout",
                "x-portkey-cache-force-refresh", "x-portkey-cache-namespace",
            ),
        ),
    ]  # fmt: skip


def _python_openai(base_url: str, key: str) -> str:
    return f"""from openai import OpenAI

client = OpenAI(base_url="{base_url}/v1", api_key="{key}")
reply = client.chat.completions.create(
    model="{MODEL}",
    messages=[{{"role": "user", "content": "{SAID["content"]}"}}],
)
print(reply.choices[0].message.content)"""


def _python_anthropic(base_url: str, key: str) -> str:
    return f"""from anthropic import Anthropic

client = Anthropic(base_url="{base_url}", api_key="{key}")
reply = client.messages.create(
    model="{CLAUDE}",
    max_tokens=200,
    messages=[{{"role": "user", "content": "{SAID["content"]}"}}],
)
print(reply.content[0].text)"""


def _js_openai(base_url: str, key: str) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base_url}/v1", apiKey: "{key}" }});
const reply = await client.chat.completions.create({{
  model: "{MODEL}",
  messages: [{{ role: "user", content: "{SAID["content"]}" }}],
}});
console.log(reply.choices[0].message.content);"""


def _js_anthropic(base_url: str, key: str) -> str:
    return f"""import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({{ baseURL: "{base_url}", apiKey: "{key}" }});
const reply = await client.messages.create({{
  model: "{CLAUDE}",
  max_tokens: 200,
  messages: [{{ role: "user", content: "{SAID["content"]}" }}],
}});
console.log(reply.content[0].text);"""


def _curl(base_url: str, path: str, credentials: str, fields: Mapping[str, object]) -> str:
    body = json.dumps({**fields, "messages": [SAID]})
    return (
        f"curl {base_url}{path} \\\n"
        f'  -H "{credentials}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )
