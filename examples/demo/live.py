"""One live run of the support agent: real model calls, told to LLMLab as they happen."""

import datetime as dt
import json
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from examples.demo.providers import ProviderError, Providers
from examples.demo.story import Step, Story, step_item, trace_item
from examples.support_texts import SYSTEM_PROMPT, TOPICS, document, new_case, question

MODELS = ("claude-sonnet-5-5", "claude-sonnet-5-5", "gpt-6.1-sol", "gpt-5-mini", "acme-llama-70b")
PROVIDERS = {"claude": "anthropic", "acme": "acme"}
# Long enough for the providers' prompt caches.
HANDBOOK = f"{SYSTEM_PROMPT}\n\nHandbook:\n" + "\n".join(
    f"- {topic.name}: {sentence}"
    for topic in TOPICS
    for sentence in (*topic.questions, *topic.facts)
)


class Sink(Protocol):
    """Where a run's news goes."""

    def send_items(self, items: list[dict[str, Any]]) -> None: ...
    def send_otlp(self, stories: list[Story]) -> None: ...


class Run:
    """A story that happens now. With `is_live` every change is sent; otherwise all at the end, as
    OTLP.
    """

    def __init__(self, sink: Sink, chance: random.Random, *, is_live: bool, name: str) -> None:
        self.sink, self.chance, self.is_live = sink, chance, is_live
        self._zero = time.monotonic()
        user = chance.randrange(1, 180)
        now = dt.datetime.now(dt.UTC)
        facts = {
            "agent_name": name,
            "environment": "production" if chance.random() < 0.9 else "staging",
            "release": "2026.11.3",
            "feature": "customer-care",
            "prompt_version": f"{name}@v8",
            "user": f"customer-{user:04d}",
            "session": f"conv-{now:%Y%m%d}-{user:04d}",
            "tags": [chance.choice(("web", "mail", "app")), "live"],
            "metadata": {"channel": "live demo"},
        }
        self.story = Story(secrets.token_hex(16), name, now, facts)
        self._open: list[Step] = []

    @contextmanager
    def step(self, kind: str, name: str, **more: Any) -> Iterator[Step]:
        """A step that lasts as long as the block; told when it starts and when it ends."""
        parent = self._open[-1].id if self._open else ""
        step = Step(
            secrets.token_hex(8), parent, kind, name, self._now(), input=more.pop("input", None)
        )
        step.facts = more
        self.story.steps.append(step)
        self._open.append(step)
        self._tell(step, is_running=True)
        try:
            yield step
        except ProviderError as error:
            step.error = {"type": error.kind, "message": str(error)}
            raise
        finally:
            self._open.remove(step)
            step.seconds = self._now() - step.start
            if step.parent_id:  # the root's end is told with the trace's
                self._tell(step, is_running=False)

    def _now(self) -> float:
        return time.monotonic() - self._zero

    def _tell(self, step: Step, *, is_running: bool) -> None:
        if not self.is_live:
            return
        item = trace_item(self.story) | {"status": "running"}
        del item["ended_at"]
        item["steps"] = [step_item(self.story, step, is_running=is_running)]
        self.sink.send_items([item])

    def _finish(self) -> None:
        if not self.is_live:
            self.sink.send_otlp([self.story])
            return
        item = trace_item(self.story)
        item["steps"] = [step_item(self.story, self.story.steps[0])]
        self.sink.send_items([item])


class LiveRun(Run):
    """The support agent: a guard, a search, and model calls that it tells of itself."""

    def __init__(
        self, sink: Sink, providers: Providers, chance: random.Random, *, is_live: bool
    ) -> None:
        super().__init__(sink, chance, is_live=is_live, name="support-answer")
        self.providers = providers

    def run(self) -> None:
        """Plays the run to its end; raises only what the sink raises."""
        case = new_case(self.chance)
        asked = self.story.input = question(self.chance, case)
        with self.step("agent", "support-answer", input=asked) as root:
            with self.step("guardrail", "input-guard", input=asked) as guard:
                time.sleep(self.chance.uniform(0.02, 0.08))
                guard.output = {"allowed": True}
            with self.step("retrieval", "search-help-centre", input=asked) as search:
                self._embed(asked)
                search.output = [document(self.chance, case) for _ in range(2)]
            messages = [
                {"role": "system", "content": HANDBOOK},
                {"role": "user", "content": f"{asked}\n\nArticles: {json.dumps(search.output)}"},
            ]
            try:
                root.output = self._answer(messages, case.particulars["order"])
            except ProviderError as error:
                root.error = {"type": error.kind, "message": str(error)}
                self.story.has_failed = True
        self.story.output = root.output
        self._finish()

    def _embed(self, text: str) -> None:
        facts = {"model": "text-embedding-3-small", "provider": "openai", "operation": "embeddings"}
        with self.step("embedding", "embed-question", input=text, **facts) as step:
            step.facts["input_tokens"] = self.providers.embed(text)

    def _answer(self, messages: list[dict[str, Any]], order: str) -> Any:
        model = self.chance.choice(MODELS)
        if self.chance.random() < 0.4:
            answer = self._call("plan", model, messages, with_tools=True)
            if answer.tool_calls:
                result = {"order": order, "state": "in transit"}
                with self.step("tool", "lookup_order", input=answer.tool_calls[0]) as tool:
                    time.sleep(self.chance.uniform(0.1, 0.7))
                    tool.output = result
                found = f"I looked up the order: {json.dumps(result)}"
                messages = [*messages, {"role": "assistant", "content": found}]
                messages.append({"role": "user", "content": "Now answer the customer, please."})
        return self._call("draft-answer", model, messages, with_tools=False).text

    def _call(
        self, name: str, model: str, messages: list[dict[str, Any]], *, with_tools: bool
    ) -> Any:
        """One model call; now and then the provider is busy and the second attempt works."""
        if self.chance.random() < 0.05:
            fault = self.chance.choice(("rate_limit:1", "overloaded"))
            try:
                self._attempt(name, f"{model}+{fault}", messages, with_tools)
            except ProviderError:
                time.sleep(1)
        return self._attempt(name, model, messages, with_tools)

    def _attempt(
        self, name: str, asked: str, messages: list[dict[str, Any]], with_tools: bool
    ) -> Any:
        model = asked.partition("+")[0]
        provider = PROVIDERS.get(model.partition("-")[0], "openai")
        with self.step("llm", name, input=messages, model=model, provider=provider) as step:

            def first() -> None:
                step.facts["first_token_ms"] = round((self._now() - step.start) * 1000, 1)
                self._tell(step, is_running=True)

            answer = self.providers.chat(asked, messages, with_tools=with_tools, first=first)
            step.output = answer.said
            step.facts |= {
                **answer.counts,
                "model": answer.model,
                "operation": "chat",
                "finish_reason": answer.finish_reason,
            }
        return answer
