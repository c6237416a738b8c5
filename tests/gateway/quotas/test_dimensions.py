"""Every scope by every measure, hard and soft: who is counted together, and what the third call hears (no database)."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from gateway.quotas.bounds import Bounds
from gateway.quotas.charging import charge
from gateway.quotas.deciding import Counter, Granted, Refused
from gateway.quotas.granting import Asked, decide
from gateway.quotas.lines import CounterKey, lines_of
from gateway.snapshot import LimitView, Snapshot
from gateway.structs import (  # fmt: skip
    Attempt,
    Call,
    Caller,
    Decision,
    Dialect,
    Finished,
    ProjectRules,
    RouteRules,
    Target,
    Usage,
)

AT = dt.datetime(2026, 11, 18, 10, 20, 30, tzinfo=dt.UTC)
ONE, OTHER = f"{1:032x}", f"{2:032x}"
# What is set aside of each measure for one call, and what two of them are.
NEEDS = {"requests": 1, "tokens": 10, "usd": Decimal("0.01"), "concurrency": 1}
# How a call differs that another subject is charged for. Everybody is of the organisation.
OTHERS: dict[str, dict[str, Any]] = {
    "organization": {},
    "project": {"project_id": OTHER},
    "key": {"key_id": OTHER},
    "user": {"user": "bob"},
    "tag": {"tags": ("b",)},
    "model": {"model": "claude"},
}
VALUES = {"project": ONE, "key": ONE, "user": "ann", "tag": "a", "model": "gpt"}
CASES = list(product(OTHERS, NEEDS, (True, False)))


def call_of(*, model: str = "gpt", **caller: Any) -> Call:
    target = Target(connection="c", kind="openai", model=model, provider="openai")
    who = {"project_id": ONE, "key_id": ONE, "user": "ann", "tags": ("a",)} | caller
    return Call(
        id=f"{9:032x}", dialect=Dialect.CHAT, body=b"{}", model=model,
        caller=Caller(organization_id=ONE, **who), decision=Decision(targets=(target,)),
        rules=RouteRules(), accepted_at=AT.timestamp(), deadline_at=AT.timestamp() + 60,
    )  # fmt: skip


def snapshot_with(scope: str, metric: str, value: str, *, is_hard: bool) -> Snapshot:
    window = "" if metric == "concurrency" else "day"
    amount = Decimal(NEEDS[metric]) * 2
    limit = LimitView("l1", "Two", "", scope, value, metric, window, amount, is_hard)
    return Snapshot(ONE, ONE, (0, 0), ProjectRules(), {}, {}, (limit,), b"")  # type: ignore[arg-type]


@pytest.mark.parametrize(("scope", "metric", "is_hard"), CASES)
@pytest.mark.parametrize("is_named", [False, True])
def test_two_fit_the_third_does_not_and_others_are_not_touched(
    scope: str, metric: str, is_hard: bool, is_named: bool
) -> None:
    value = VALUES.get(scope, "") if is_named else ""
    now = snapshot_with(scope, metric, value, is_hard=is_hard)
    found: dict[CounterKey, Counter] = defaultdict(Counter)

    def ask(**different: Any) -> Granted | Refused:
        call = call_of(**different)
        lines = lines_of(call, now, Bounds(4, 6, Decimal("0.01")), AT)
        return decide(Asked(call, lines, AT), found)

    for _ in range(2):
        first = ask()
        assert isinstance(first, Granted)
        assert first.flags == ()
    third = ask()
    if is_hard:
        assert isinstance(third, Refused)
        status, code = (402, "budget_exceeded") if metric == "usd" else (429, "rate_limit_exceeded")
        assert (third.status, third.code) == (status, code)
        said = third.extra["limit"]
        assert (said["scope"], said["metric"], third.extra["remaining"]) == (scope, metric, "0")
    else:
        assert isinstance(third, Granted)
        assert third.flags == ("soft_limit:l1",)
    other = ask(**OTHERS[scope])
    if scope == "organization":
        assert isinstance(other, Refused) is is_hard
    else:
        assert isinstance(other, Granted)
        assert other.flags == ()
        assert len(found) == (1 if value else 2)


@pytest.mark.parametrize(("metric", "used"), [
    ("requests", 0), ("tokens", 7), ("usd", Decimal("0.004")), ("concurrency", 0),
])  # fmt: skip
def test_an_end_gives_back_what_was_not_used(metric: str, used: Any) -> None:
    call = call_of()
    tried = Attempt(target=call.decision.targets[0], began_at=call.accepted_at, status=200)
    usage = Usage(input_tokens=3, output_tokens=4)
    at = call.accepted_at + 1
    end = Finished(
        call=call, ended_at=at, state="done", status=200, usage=usage, attempts=[tried]
    )  # fmt: skip
    need = Decimal(NEEDS[metric])
    change = charge(metric, need, "", end, Decimal("0.004"))
    assert (change.used, change.reserved) == (used, 0 if metric == "requests" else -need)
