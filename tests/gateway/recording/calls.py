"""Calls and their ends, as the engine and the door hand them over."""

import time
from typing import Any

import msgspec

from core.ids import uuid7
from costs.usage import Usage
from gateway.structs import (
    Attempt,
    Call,
    Caller,
    Decision,
    Dialect,
    Finished,
    RouteRules,
    Target,
)
from projects.models import Project

CONNECTION = uuid7().hex
TARGET = Target(
    connection=CONNECTION, kind="openai", model="gpt-4o-mini", provider="openai", because="only one"
)
BODY = {"model": "fast", "messages": [{"role": "user", "content": "Say hello."}]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}
    ],
}


def caller(project: Project | None = None, **values: Any) -> Caller:
    found = {
        "organization_id": project.organization_id.hex if project else uuid7().hex,
        "project_id": project.pk.hex if project else uuid7().hex,
        "key_id": uuid7().hex,
    }
    return Caller(**(found | values))


def call(project: Project | None = None, *, ago_s: float = 2.0, **values: Any) -> Call:
    at = time.time() - ago_s
    found = {
        "id": uuid7().hex,
        "dialect": Dialect.CHAT,
        "body": msgspec.json.encode(BODY),
        "model": "fast",
        "caller": values.pop("caller", None) or caller(project),
        "decision": Decision(targets=(TARGET,), route="fast", because="route fast: weight"),
        "rules": RouteRules(),
        "is_stream": True,
        "accepted_at": at,
        "deadline_at": at + 600,
        "queued_at": at + 0.004,
        "claimed_at": at + 0.010,
    }
    return Call(**(found | values))


def tried(of: Call, *, after: float = 0.012, took: float = 0.5, **values: Any) -> Attempt:
    began = of.accepted_at + after
    found = {
        "target": TARGET,
        "began_at": began,
        "ended_at": began + took,
        "first_token_at": began + took / 2,
        "status": 200,
    }
    return Attempt(**(found | values))


def finished(project: Project | None = None, of: Call | None = None, **values: Any) -> Finished:
    one = of or call(project)
    attempts = values.pop("attempts", None)
    attempts = [tried(one)] if attempts is None else attempts
    found = {
        "call": one,
        "ended_at": one.accepted_at + 0.52,
        "state": "done",
        "status": 200,
        "attempts": attempts,
        "usage": Usage(input_tokens=1000, output_tokens=500),
        "response_id": f"chatcmpl-{one.id}",
        "response_model": "gpt-4o-mini-2024-07-18",
        "finish_reason": "stop",
        "first_token_at": one.accepted_at + 0.262,
        "answer": msgspec.json.encode(ANSWER),
        "cache": "miss",
    }
    return Finished(**(found | values))
