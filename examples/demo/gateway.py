"""Runs of an agent that calls its models through LLMLab's own gateway: every kind of answer it can give.

The agent tells its own steps; the calls are recorded by the gateway itself, in the same trace (`traceparent`).
"""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2

from examples.demo.live import Run, Sink
from examples.demo.providers import ProviderError
from examples.simulator.faults import is_too_much
from examples.support_texts import TOPICS, new_case, question

AGENT = "concierge"
# What everybody asks, in few words: asked again it comes from the cache.
USUAL = tuple(
    f"What should I know about {topic.documents[0][0].lower()}{topic.documents[0][1:]}?"
    for topic in TOPICS
)
# Of three prompts one is too much for the unsteady provider; so many always hold one.
MOST = 100
SYSTEM = "You are Fernhill's concierge. Answer in two sentences."


@dataclass(frozen=True)
class Ask:
    """One call: to which route, in which wire, and what is said."""

    route: str
    text: str
    is_stream: bool = False
    is_anthropic: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return "/v1/messages" if self.is_anthropic else "/v1/chat/completions"

    @property
    def body(self) -> dict[str, Any]:
        """The request in its wire."""
        said = {"role": "user", "content": self.text}
        common: dict[str, Any] = {"model": self.route, "max_tokens": 300, "stream": self.is_stream}
        if self.is_anthropic:
            return common | {"system": SYSTEM, "messages": [said]}
        return common | {"messages": [{"role": "system", "content": SYSTEM}, said]}


class Gateway:
    """A client of LLMLab's gateway with one project's key."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=60.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def routes(self) -> set[str]:
        """What may be called by name; empty while LLMLab does not answer."""
        try:
            answer = self._http.get("/v1/models")
            return {one["id"] for one in answer.json()["data"]} if answer.is_success else set()
        except (httpx2.TransportError, ValueError, KeyError, TypeError):
            return set()

    def answer(self, ask: Ask, headers: dict[str, str]) -> str:
        """What was said. Raises ProviderError with the gateway's code."""
        try:
            with self._http.stream(
                "POST", ask.path, json=ask.body, headers=ask.headers | headers
            ) as reply:
                if not reply.is_success:
                    raise _refusal(reply.read())
                return "".join(_pieces(reply)) if ask.is_stream else _text(reply.read())
        except httpx2.TransportError as error:
            raise ProviderError(type(error).__name__, str(error)) from error


def _refusal(body: bytes) -> ProviderError:
    try:
        error = json.loads(body)["error"]
        return ProviderError(str(error.get("code") or error["type"]), str(error["message"]))
    except (ValueError, KeyError, TypeError):
        return ProviderError("error", body[:200].decode(errors="replace"))


def _text(body: bytes) -> str:
    found = json.loads(body)
    if "choices" in found:
        return str(found["choices"][0]["message"]["content"] or "")
    return "".join(part.get("text", "") for part in found["content"])


def _pieces(reply: httpx2.Response) -> Iterator[str]:
    for line in reply.iter_lines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[6:])
        for choice in event.get("choices", ()):
            yield choice["delta"].get("content") or ""
        if event.get("type") == "content_block_delta":
            yield event["delta"].get("text", "")


def asks_of(kind: str, chance: random.Random) -> list[Ask]:
    """The calls of one run of KINDS."""
    asked = question(chance, new_case(chance))
    match kind:
        case "kept":
            usual = chance.choice(USUAL)
            # Word for word, and once more in other letters: by its meaning.
            return [Ask("answers", text) for text in (usual, usual, f"Hello! {usual.upper()}")]
        case "fallback":
            tried = (Ask("steady", question(chance, new_case(chance))) for _ in range(MOST))
            failing = (ask for ask in tried if is_too_much(ask.body))
            return [Ask("steady", asked), *itertools.islice(failing, 1)]
        case "limit":
            tag = {"x-llmlab-tags": "batch", "x-llmlab-priority": "low"}
            return [Ask("cheap", f"Sum this up: {asked}", headers=tag) for _ in range(3)]
        case "masked":
            contact = "Write to ana.silva@example.com or call +1 415 555 0132."
            return [Ask("smart", f"{asked} {contact}", is_stream=True)]
        case "anthropic":
            return [Ask("smart", asked, is_stream=True, is_anthropic=True)]
        case _:
            return [Ask("smart", asked, is_stream=True, headers={"x-llmlab-priority": "high"})]


KINDS = ("stream", "kept", "fallback", "limit", "masked", "anthropic")
ROUTES = frozenset({"smart", "cheap", "answers", "steady"})


class GatewayRun(Run):
    """A run whose model calls go through the gateway."""

    def __init__(self, sink: Sink, gateway: Gateway, chance: random.Random, *, kind: str) -> None:
        super().__init__(sink, chance, is_live=True, name=AGENT)
        self.gateway, self.kind = gateway, kind

    def run(self) -> None:
        """Plays the run to its end; a refused call is part of it. Raises only what the sink raises."""
        asks = asks_of(self.kind, self.chance)
        self.story.input = asks[0].text
        with self.step("agent", AGENT, input=asks[0].text) as root:
            root.output = self._say(asks)
        self.story.output = root.output
        self._finish()

    def _say(self, asks: Sequence[Ask]) -> str:
        said = ""
        for number, ask in enumerate(asks, start=1):
            try:
                with self.step("chain", f"ask-{ask.route}-{number}", input=ask.text) as step:
                    said = step.output = self.gateway.answer(ask, self._identity(step.id))
            except ProviderError as error:
                said = f"Later, please: {error}"
        return said

    def _identity(self, step_id: str) -> dict[str, str]:
        facts = self.story.facts
        return {
            "traceparent": f"00-{self.story.trace_id}-{step_id}-01",
            "x-llmlab-user": facts["user"],
            "x-llmlab-session": facts["session"],
            "x-llmlab-agent": AGENT,
            "x-llmlab-environment": facts["environment"],
            "x-llmlab-feature": facts["feature"],
        }
