"""A project with its snapshot, and calls that ended."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.ids import uuid7
from costs.usage import Usage
from gateway.cache.keys import plan
from gateway.dialects.facts import facts_of
from gateway.snapshot import Snapshot, load
from gateway.structs import (
    Attempt,
    CacheRule,
    CacheWishes,
    Call,
    Caller,
    Decision,
    Dialect,
    Finished,
    RouteRules,
    Target,
)
from projects.models import Project
from tests.factories.projects import ProjectFactory

NOW = 1_795_000_000.0
BOTH = CacheRule(exact=True, semantic=True, ttl_s=600)
COST = Decimal("0.0042")


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory()


def snapshot_now(project: Project) -> Snapshot:
    return load(project.organization_id, project.pk, 1)


def ask(
    project: Project,
    text: str = "What is the capital of France?",
    *,
    rule: CacheRule = BOTH,
    wishes: CacheWishes | None = None,
    system: str = "Be brief.",
    route: str = "",
    at: float = NOW,
    user: str = "",
    prompt_version: str = "",
    model: str = "gpt-5",
    **more: Any,
) -> Call:
    """A call as the door would queue it."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    body = msgspec.json.encode({"model": model, "messages": messages, **more})
    caller = Caller(
        organization_id=project.organization_id.hex,
        project_id=project.pk.hex,
        key_id=uuid7().hex,
        user=user,
        prompt_version=prompt_version,
    )
    facts = facts_of(Dialect.CHAT, body)
    return Call(
        id=uuid7().hex,
        dialect=Dialect.CHAT,
        body=body,
        model=model,
        caller=caller,
        decision=Decision(targets=(), route=route),
        rules=RouteRules(),
        accepted_at=at,
        deadline_at=at + 60,
        cache=plan(Dialect.CHAT, facts, caller, rule, wishes or CacheWishes()),
    )


def answer_of(text: str = "Paris.", finish: str = "stop", **message: Any) -> bytes:
    said = {"role": "assistant", "content": text, "refusal": None, **message}
    choice = {"index": 0, "finish_reason": finish, "message": said}
    return msgspec.json.encode({"id": "c1", "object": "chat.completion", "choices": [choice]})


def ended(call: Call, answer: bytes | None = None, **changes: Any) -> Finished:
    """The call, answered a second later."""
    target = Target(connection="c", kind="openai", model="gpt-5-2026", provider="openai")
    fields: dict[str, Any] = {
        "ended_at": call.accepted_at + 1,
        "state": "done",
        "status": 200,
        "attempts": [Attempt(target=target, began_at=call.accepted_at, status=200)],
        "usage": Usage(input_tokens=20, output_tokens=2),
        "finish_reason": "stop",
        "response_model": "gpt-5-2026",
        "answer": answer_of() if answer is None else answer,
        "cache": "miss",
    }
    return Finished(call=call, **(fields | changes))
