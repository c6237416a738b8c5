"""Snapshots, requests and calls to decide about; no database."""

import datetime as dt
from typing import Any

import msgspec

from gateway.dialects.facts import RequestFacts, facts_of
from gateway.routing.decide import decide
from gateway.routing.health import HEALTHY, Circuit, HealthView
from gateway.snapshot import ConnectionView, KeyView, RouteView, Snapshot
from gateway.structs import (
    Attempt,
    Call,
    Caller,
    Decision,
    Dialect,
    ProjectRules,
    RouteRules,
    Target,
    TargetRule,
)

AT = dt.datetime(2026, 11, 18, 14, 30, tzinfo=dt.UTC)  # a Wednesday
NOW = AT.timestamp()
CALLER = Caller(organization_id="o1", project_id="p1", key_id="k1")


def view(name: str, kind: str = "openai", **given: Any) -> ConnectionView:
    key = KeyView(id=f"key-{name}", sealed=b"", hint="sk-…", weight=1, retires_at=None)
    defaults: dict[str, Any] = {
        "base_url": "",
        "settings": {},
        "model_names": (),
        "keys": (key,),
    }
    return ConnectionView(id=name, name=name.title(), kind=kind, **(defaults | given))


def to(connection: str, model: str = "gpt-4o-mini", **given: Any) -> TargetRule:
    return TargetRule(connection=connection, model=model, **given)


def snapshot(
    *views: ConnectionView,
    routes: dict[str, RouteRules] | None = None,
    rules: ProjectRules | None = None,
) -> Snapshot:
    return Snapshot(
        organization_id="o1",
        project_id="p1",
        version=1,
        rules=rules or ProjectRules(),
        connections={one.id: one for one in views},
        routes={
            name.lower(): RouteView(id=f"r-{name}", name=name, rules=said, version=1)
            for name, said in (routes or {}).items()
        },
        limits=(),
        data_key=b"",
    )


def asked(model: str = "smart", **more: Any) -> RequestFacts:
    document = {"model": model, "messages": [{"role": "user", "content": "Hello there"}], **more}
    return facts_of(Dialect.CHAT, msgspec.json.encode(document))


def decided(
    known: Snapshot,
    facts: RequestFacts | None = None,
    *,
    caller: Caller = CALLER,
    health: HealthView = HEALTHY,
    draw: float = 0.0,
    **given: Any,
) -> Decision:
    return decide(
        known,
        facts or asked(),
        caller,
        dialect=given.pop("dialect", Dialect.CHAT),
        health=health,
        at=given.pop("at", AT),
        draw=draw,
        **given,
    )


def went(decision: Decision) -> list[str]:
    return [one.connection for one in decision.targets]


def circuit(ago: float = 5.0, **given: Any) -> Circuit:
    defaults: dict[str, Any] = {"probing_until": 0.0, "why": "5 failures in a row"}
    return Circuit(opened_at=NOW - ago, since=NOW - ago, **(defaults | given))


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(
        Target(connection=name, kind="openai", model="m", provider="openai") for name in names
    )


def a_call(*names: str, rules: RouteRules | None = None, **given: Any) -> Call:
    return Call(
        id="c1",
        dialect=Dialect.CHAT,
        body=b"{}",
        model="smart",
        caller=CALLER,
        decision=Decision(targets=targets(*names)),
        rules=rules or RouteRules(),
        accepted_at=NOW,
        deadline_at=NOW + 60,
        **given,
    )


def failed(name: str, error: str = "error", **given: Any) -> Attempt:
    return Attempt(target=targets(name)[0], began_at=NOW, ended_at=NOW, error=error, **given)
