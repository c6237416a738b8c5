"""The company's agents: each turns a recorder into one believable run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from examples.demo import models
from examples.demo.models import Model, cache_split, call, embed, failed_call
from examples.demo.story import Recorder, Step
from examples.support_texts import SYSTEM_PROMPT, TOPICS, Case, answer, document, new_case, question

MONEY_TOPICS = ("refund", "damage", "order")


@dataclass(frozen=True)
class Conditions:
    """What was true at the company at that moment."""

    is_incident: bool  # the main provider was overloaded
    has_new_prompt: bool  # the shorter prompt was out
    has_new_model: bool  # the team had moved to the current Sonnet
    has_routing_bug: bool = False  # the release that names queues nobody has made


def support_answer(recorder: Recorder, when: Conditions) -> None:
    """Answers a customer: guard, search, draft (with a tool), guard."""
    chance, case = recorder.chance, new_case(recorder.chance)
    asked = question(chance, case)
    root = recorder.begin("agent", "support-answer", input=asked)
    _guard(recorder, "input-guard", asked)
    found = _search(recorder, case, asked)
    version = "v8" if when.has_new_prompt else "v7"
    recorder.story.facts["prompt_version"] = f"support-answer@{version}"
    prefix = 5_376 if when.has_new_prompt else 9_216  # system prompt, tools and handbook
    model = models.SONNET if when.has_new_model else models.OLD_SONNET
    if chance.random() < 0.12:
        model = models.FLASH
    messages = [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": f"{asked}\n\nHelp articles:\n{json.dumps(found)}"},
    ]
    size = prefix + 900 + 420 * len(found) + chance.randrange(4_800)  # the conversation so far
    survivor = _survive(recorder, model, messages, when)
    if survivor is None:
        recorder.end(root, error=recorder.story.steps[-1].error)
        recorder.story.has_failed = True
        return
    model = survivor
    cached, written = cache_split(chance, prefix)
    if chance.random() < 0.07:
        reply = answer(chance, case)
        cached_step = call(
            recorder, model, "draft-answer", messages=messages, says=reply, tokens=(0, 0)
        )
        cached_step.facts |= {"cache_hit": True}
        recorder.clock = cached_step.start + 0.012
        cached_step.seconds = 0.012
    else:
        if chance.random() < 0.45:
            size = _look_up(recorder, model, case, messages, size, cached, written)
            cached, written = prefix, 0
        reply = answer(chance, case)
        length = len(reply) // 4 + chance.randrange(20, 160)
        call(
            recorder, model, "draft-answer", messages=messages, says=reply, is_streamed=True,
            tokens=(size, length), cached=cached, written=written,
            slow=4.0 if when.is_incident else 1.0,
        )  # fmt: skip
    if chance.random() < 0.2:
        verdict = {"grounded": chance.random() < 0.93, "tone": "friendly"}
        asks = f"Is this answer grounded in the articles?\n{reply}"
        call(
            recorder, models.LLAMA, "judge-answer", says=json.dumps(verdict), tokens=(900, 24),
            messages=[{"role": "user", "content": asks}],
        )  # fmt: skip
    _guard(recorder, "output-guard", reply)
    recorder.end(root, output=reply)
    recorder.story.input, recorder.story.output = asked, reply


def refund_agent(recorder: Recorder, when: Conditions) -> None:
    """Decides about a refund with tools, in a loop."""
    chance = recorder.chance
    case = new_case(
        chance, chance.choice([topic for topic in TOPICS if topic.name in MONEY_TOPICS])
    )
    asked = question(chance, case)
    root = recorder.begin("agent", "refund-agent", input=asked)
    messages = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": asked}]
    order, amount = case.particulars["order"], case.particulars["amount"]
    plan: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("lookup_order", {"order": order}, {"order": order, "paid": amount, "state": "returned"}),
        ("check_policy", {"topic": case.topic.name}, {"allowed": True, "window_days": 30}),
    ]
    large = float(amount.split()[0]) > 150
    if large:
        plan.append(
            (
                "ask_colleague",
                {"order": order, "amount": amount},
                {"approved": chance.random() < 0.8},
            )
        )
    plan.append(
        ("issue_refund", {"order": order, "amount": amount}, {"status": "booked", "in_days": 4})
    )
    size = 6_200 + chance.randrange(2_600)
    for name, arguments, result in plan:
        says = {"role": "assistant", "tool_calls": [{"name": name, "arguments": arguments}]}
        call(
            recorder, models.SOL, "decide", messages=messages, says=says,
            tokens=(size, 30 + chance.randrange(40)), cached=5_888 if name != "lookup_order" else 0,
        )  # fmt: skip
        if not _tool(recorder, name, arguments, result):
            recorder.end(root, error=recorder.story.steps[-1].error)
            recorder.story.has_failed = True
            return
        messages = [*messages, {"role": "assistant", "content": json.dumps(says)}]
        messages.append({"role": "tool", "content": json.dumps(result)})
        size += 120 + chance.randrange(200)
    reply = answer(chance, case, 2)
    call(
        recorder, models.SOL, "answer", messages=messages, says=reply, is_streamed=True,
        tokens=(size, len(reply) // 4), cached=5_888,
    )  # fmt: skip
    recorder.end(root, output=reply)
    recorder.story.input, recorder.story.output = asked, reply


def triage(recorder: Recorder, when: Conditions) -> None:
    """Sorts an incoming message with one small call."""
    chance, case = recorder.chance, new_case(recorder.chance)
    asked = question(chance, case)
    root = recorder.begin("chain", "triage", input=asked)
    messages = [
        {
            "role": "system",
            "content": "Sort the message: topic, urgency 1-5, language. Answer in JSON.",
        },
        {"role": "user", "content": asked},
    ]
    if chance.random() < 0.025:
        failed_call(recorder, models.MINI, "classify", messages, "rate_limit")
        recorder.pass_time(1.8, 2.4)
    says = json.dumps(
        {"topic": case.topic.name, "urgency": chance.randrange(1, 6), "language": "en"}
    )
    call(
        recorder, models.MINI, "classify", messages=messages, says=says,
        tokens=(180 + len(asked) // 4, 24), parameters={"response_format": "json_schema"},
    )  # fmt: skip
    if when.has_routing_bug and chance.random() < 0.05:
        error = {
            "type": "ValidationError",
            "message": f"Queue '{case.topic.name}-plus' of ticket {chance.randrange(40_000, 99_000)} does not exist.",
        }
        recorder.leaf("tool", "route_ticket", 0.01, 0.06, input=json.loads(says), error=error)
        recorder.end(root, error=error)
        recorder.story.input, recorder.story.has_failed = asked, True
        return
    recorder.leaf(
        "tool",
        "route_ticket",
        0.01,
        0.06,
        input=json.loads(says),
        output={"queue": case.topic.name},
    )
    recorder.end(root, output=json.loads(says))
    recorder.story.input, recorder.story.output = asked, json.loads(says)


def batch_labelling(recorder: Recorder, when: Conditions) -> None:
    """Labels yesterday's conversations through the batch API, many at once."""
    chance = recorder.chance
    root = recorder.begin(
        "chain", "batch-labelling", input={"job": "label conversations", "size": 12}
    )
    start, ends = recorder.clock, []
    for number in range(chance.randrange(9, 15)):
        recorder.clock = start + number * 0.4
        case = new_case(chance)
        text = f"{question(chance, case)}\n{answer(chance, case)}"
        label = {"topic": case.topic.name, "solved": chance.random() < 0.82}
        call(
            recorder, models.FLASH, "label", says=json.dumps(label), slow=chance.uniform(8, 30),
            messages=[{"role": "user", "content": f"Label this conversation.\n{text}"}],
            tokens=(600 + len(text) // 4, 22), processing="batch",
        )  # fmt: skip
        ends.append(recorder.clock)
    recorder.clock = max(ends)
    recorder.end(root, output={"labelled": len(ends)})


def nightly_digest(recorder: Recorder, when: Conditions) -> None:
    """Writes the morning digest: summaries by the company's own model, the text by a large one."""
    chance = recorder.chance
    root = recorder.begin("chain", "nightly-digest")
    recorder.leaf(
        "retrieval", "load-conversations", 0.8, 2.5, input={"since": "24 h"}, output={"found": 412}
    )
    start, ends, summaries = recorder.clock, [], []
    for topic in TOPICS:
        recorder.clock = start
        asked = f"Summarise yesterday's conversations about {topic.name}."
        summaries.append(f"{topic.name}: {answer(chance, new_case(chance, topic), 3)}")
        call(
            recorder, models.LLAMA, f"summarise-{topic.name}", says=summaries[-1],
            messages=[{"role": "user", "content": asked}],
            tokens=(chance.randrange(9_000, 24_000), chance.randrange(180, 320)),
        )  # fmt: skip
        ends.append(recorder.clock)
    recorder.clock = max(ends)
    digest = "\n".join(summaries)
    messages = [
        {"role": "user", "content": f"Write the digest of the day from these notes.\n{digest}"}
    ]
    call(
        recorder, models.OPUS, "write-digest", messages=messages, says=digest,
        tokens=(chance.randrange(90_000, 160_000), chance.randrange(1_500, 2_600)), is_streamed=True,
    )  # fmt: skip
    recorder.leaf(
        "tool", "send_mail", 0.2, 0.7, input={"to": "team@fernhill.example"}, output={"sent": 14}
    )
    recorder.end(root, output=digest)
    recorder.story.output = digest


def _guard(recorder: Recorder, name: str, text: str) -> None:
    recorder.leaf("guardrail", name, 0.008, 0.05, input=text[:200], output={"allowed": True})


def _search(recorder: Recorder, case: Case, asked: str) -> list[dict[str, str]]:
    step = recorder.begin("retrieval", "search-help-centre", input=asked)
    embed(recorder, asked)
    recorder.pass_time(0.02, 0.15)
    found = [document(recorder.chance, case) for _ in range(recorder.chance.randrange(1, 4))]
    recorder.end(step, output=found)
    return found


def _survive(
    recorder: Recorder, model: Model, messages: list[dict[str, str]], when: Conditions
) -> Model | None:
    """Failed attempts before the call that works, and the model that answers in the end, if any."""
    chance = recorder.chance
    if model is models.FLASH:
        return model
    failing = 0.55 if when.is_incident else 0.03
    for attempt in range(3):
        if chance.random() >= failing:
            return model
        kind = "overloaded" if when.has_new_model else "timeout"
        failed_call(recorder, model, "draft-answer", messages, kind)
        recorder.clock += 0.5 * 2**attempt
    return models.SOL if chance.random() < 0.7 else None


def _look_up(
    recorder: Recorder, model: Model, case: Case, messages: list[dict[str, str]],
    size: int, cached: int, written: int,
) -> int:  # fmt: skip
    """Asks for an order first; returns the input size of the next call."""
    order = case.particulars["order"]
    says = {
        "role": "assistant",
        "tool_calls": [{"name": "lookup_order", "arguments": {"order": order}}],
    }
    tokens = (size, recorder.chance.randrange(28, 60))
    call(
        recorder,
        model,
        "plan",
        messages=messages,
        says=says,
        tokens=tokens,
        cached=cached,
        written=written,
    )
    result = {"order": order, "state": "in transit", "carrier": case.particulars["carrier"]}
    _tool(recorder, "lookup_order", {"order": order}, result)
    messages.append({"role": "tool", "content": json.dumps(result)})
    return size + tokens[1] + 60


def _tool(recorder: Recorder, name: str, arguments: Any, result: Any) -> Step | None:
    """A tool call that may need up to three attempts; None when all failed."""
    for attempt in range(3):
        if name != "lookup_order" or recorder.chance.random() < 0.93:
            return recorder.leaf("tool", name, 0.03, 0.9, input=arguments, output=result)
        error = {
            "type": "TimeoutError",
            "message": f"{name} did not answer within 5 s (order {arguments['order']}).",
        }
        recorder.leaf("tool", name, 5.0, 5.1, input=arguments, error=error)
        recorder.clock += 0.3 * (attempt + 1)
        if recorder.chance.random() < 0.2:
            return None
    return None


Agent = Callable[[Recorder, Conditions], None]
AGENTS: dict[str, Agent] = {
    "support-answer": support_answer,
    "refund-agent": refund_agent,
    "triage": triage,
    "batch-labelling": batch_labelling,
    "nightly-digest": nightly_digest,
}
