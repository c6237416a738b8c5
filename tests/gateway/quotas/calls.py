"""Calls of a project to ask limits about, and how they end."""

import datetime as dt
import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from core.ids import uuid7
from costs.usage import Usage
from gateway import snapshot
from gateway.models import LimitCounter
from gateway.quotas.bounds import Bounds
from gateway.quotas.deciding import Granted, Refused
from gateway.quotas.granting import Asked, Known, grant
from gateway.quotas.lines import lines_of
from gateway.snapshot import Snapshot
from gateway.structs import Attempt, Call, Caller, Decision, Dialect, Finished, RouteRules, Target
from projects.models import Project

TARGET = Target(connection="c", kind="openai", model="gpt-4o-mini", provider="openai")
KEY = UUID(int=7)


def make_call(project: Project, at: dt.datetime | None = None, **caller: Any) -> Call:
    now = at.timestamp() if at else time.time()
    targets = caller.pop("targets", (TARGET,))
    dialect = caller.pop("dialect", Dialect.CHAT)
    model = caller.pop("model", targets[0].model)
    return Call(
        id=uuid7().hex,
        dialect=dialect,
        body=b"{}",
        model=model,
        caller=Caller(
            **{
                "organization_id": project.organization_id.hex,
                "project_id": project.pk.hex,
                "key_id": KEY.hex,
                **caller,
            }
        ),
        decision=Decision(targets=targets),
        rules=RouteRules(),
        accepted_at=now,
        deadline_at=now + 60,
    )


def read(project: Project) -> Snapshot:
    """The project's snapshot as it is now."""
    return snapshot.load(project.organization_id, project.pk, ())


def bounds(tokens: int = 10, usd: str | Decimal | None = "0.01") -> Bounds:
    return Bounds(tokens, 0, None if usd is None else Decimal(usd), "x at y" if usd is None else "")


def ask(
    call: Call, now: Snapshot, most: Bounds | None = None, known: Known | None = None
) -> Granted | Refused:
    """Reserve in this thread, alone in its transaction."""
    at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
    asked = Asked(call, lines_of(call, now, most or bounds(), at), at)
    (outcome,) = grant([asked], owner="test", known=known or Known(), now=at)
    call.has_reservation = isinstance(outcome, Granted)
    return outcome


def ended(call: Call, **values: Any) -> Finished:
    """Answered by its first target, unless `values` say otherwise."""
    target = call.decision.targets[0]
    given = {
        "ended_at": call.accepted_at + 1,
        "state": "done",
        "status": 200,
        "usage": Usage(input_tokens=3, output_tokens=4),
        "attempts": [Attempt(target=target, began_at=call.accepted_at, status=200)],
        **values,
    }
    return Finished(call=msgspec.structs.replace(call), **given)


def counters(project: Project) -> dict[str, tuple[Decimal, Decimal]]:
    """(used, reserved) by the end of the key: the subject, or `budget`."""
    found = LimitCounter.objects.filter(organization=project.organization_id)
    return {
        "budget" if one.key.startswith("budget:") else one.key.partition(":")[2]: (
            one.used.normalize(),
            one.reserved.normalize(),
        )
        for one in found
    }
