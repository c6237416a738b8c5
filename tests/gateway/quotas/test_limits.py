"""Each kind of limit counts the right calls by the right measure, refuses the right one and says why."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from gateway.models import Reservation
from gateway.quotas import settling, spending, sweeping
from gateway.quotas.deciding import Granted, Refused
from gateway.structs import Attempt, Dialect, Finished, Target
from projects.models import Project
from tests.factories.budgets import BudgetFactory
from tests.factories.gateway import LimitFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.quotas.calls import TARGET, ask, bounds, counters, ended, make_call, read

pytestmark = pytest.mark.django_db
AT = dt.datetime(2026, 11, 18, 10, 20, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    spending.forget()


@pytest.fixture
def project() -> Project:
    return ProjectFactory.create()


def limit(of: Project, **values: Any) -> Any:
    return LimitFactory.create(organization=of.organization, **values)


def settle(*finished: Finished, **values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        settling.settle(cursor, finished, timezone.now(), **values)


def test_requests_count_at_once_and_come_back_when_refused(project: Project) -> None:
    limit(project, amount=2)
    now = read(project)
    first, second = make_call(project, AT), make_call(project, AT)
    assert isinstance(ask(first, now), Granted)
    outcome = ask(second, now)
    assert isinstance(outcome, Granted)
    assert outcome.headers["x-ratelimit-remaining-requests"] == "0"
    assert outcome.headers["x-ratelimit-reset-requests"] == "30s"
    third = ask(make_call(project, AT), now)
    assert isinstance(third, Refused)
    assert (third.status, third.code, third.retry_after_s) == (429, "rate_limit_exceeded", 30)
    assert third.headers["retry-after"] == "30"
    settle(ended(first))
    assert counters(project) == {project.pk.hex: (2, 0)}
    settle(ended(second, state="refused", status=400, attempts=[], usage=None))
    assert counters(project) == {project.pk.hex: (1, 0)}
    assert isinstance(ask(make_call(project, AT), now), Granted)
    assert isinstance(ask(make_call(project, AT + dt.timedelta(minutes=1)), now), Granted)


def test_tokens_are_set_aside_and_settled(project: Project) -> None:
    limit(project, metric="tokens", window="day", amount=100)
    now = read(project)
    call = make_call(project, AT, dialect=Dialect.MESSAGES)
    outcome = ask(call, now, bounds(80))
    assert outcome.headers["anthropic-ratelimit-tokens-remaining"] == "20"
    assert outcome.headers["anthropic-ratelimit-tokens-reset"] == "2026-11-19T00:00:00Z"
    waits = ask(make_call(project, AT), now, bounds(30))
    assert isinstance(waits, Refused)
    # What is under way may leave enough soon; what was used will not.
    assert waits.retry_after_s == 1
    assert waits.extra["remaining"] == "20"
    assert waits.extra["needed"] == "30"
    settle(ended(call))
    assert counters(project) == {project.pk.hex: (7, 0)}
    assert isinstance(ask(make_call(project, AT), now, bounds(93)), Granted)
    never = ask(make_call(project, AT), now, bounds(101))
    assert isinstance(never, Refused)
    assert never.retry_after_s is None


@pytest.mark.parametrize(
    ("values", "used"),
    [
        ({}, (1, Decimal("0.00000285"))),
        ({"usage": None}, (1, Decimal("0.5"))),  # it answered and nobody counted: the worst case
        ({"state": "lost", "attempts": [], "usage": None}, (1, Decimal("0.5"))),
        ({"state": "failed", "status": 503, "attempts": [], "usage": None}, (1, 0)),
        ({"state": "failed", "status": 502, "usage": None}, (1, 0)),
        ({"state": "cached", "attempts": []}, (1, 0)),
        ({"state": "refused", "status": 422, "attempts": [], "usage": None}, (0, 0)),
    ],
)
def test_what_an_end_costs(project: Project, values: dict[str, Any], used: tuple[Any, Any]) -> None:
    limit(project, name="Requests", amount=5, scope="key")
    limit(project, name="Dollars", metric="usd", window="month", amount=1, scope="user")
    limit(project, name="Calls", metric="concurrency", window="", amount=1, scope="organization")
    call = make_call(project, AT, user="u1")
    assert isinstance(ask(call, read(project), bounds(usd="0.5")), Granted)
    settle(ended(call, **values))
    found = counters(project)
    assert (found[call.caller.key_id][0], found["u1"][0]) == used
    assert all(reserved == 0 for _, reserved in found.values())
    assert not Reservation.objects.exists()
    settle(ended(call, **values), costs={call.id: Decimal(0)})


def test_the_last_cent(project: Project) -> None:
    limit(project, metric="usd", window="week", amount="0.03", scope="organization")
    now = read(project)
    calls = [make_call(project, AT) for _ in range(4)]
    outcomes = [ask(call, now) for call in calls]
    assert [isinstance(one, Granted) for one in outcomes] == [True, True, True, False]
    refused = outcomes[3]
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert refused.extra["resets_at"] == "2026-11-23T00:00:00+00:00"
    assert "has $0.00 left ($0.03 set aside for calls under way)" in refused.message
    settle(*(ended(call) for call in calls[:3]), costs={c.id: Decimal("0.001") for c in calls})
    assert counters(project) == {"": (Decimal("0.003"), 0)}
    assert [isinstance(ask(make_call(project, AT), now), Granted) for _ in range(3)] == [
        True, True, False,
    ]  # fmt: skip


def test_no_price_no_call_under_hard_dollars(project: Project) -> None:
    import asyncio

    from gateway.quotas.reserving import Quotas

    hard = limit(project, metric="usd", window="day", amount=1)
    outcome = asyncio.run(Quotas().reserve(make_call(project, AT), read(project), bounds(usd=None)))
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.code) == (402, "model_unpriced")
    assert "x at y" in outcome.message
    hard.is_hard = False
    hard.save()
    assert isinstance(ask(make_call(project, AT), read(project), bounds(usd=None)), Granted)


def test_soft_limits_only_tell(project: Project) -> None:
    soft = limit(project, amount=1, is_hard=False, name="Fair – use")
    now = read(project)
    assert ask(make_call(project, AT), now).headers.get("x-llmlab-limit-warning") is None
    outcome = ask(make_call(project, AT), now)
    assert isinstance(outcome, Granted)
    assert outcome.headers["x-llmlab-limit-warning"] == "Fair ? use"
    assert outcome.flags == (f"soft_limit:{soft.pk.hex}",)


def test_subjects(project: Project) -> None:
    other = ProjectFactory.create(organization=project.organization)
    limit(project, name="each user", scope="user", amount=9)
    limit(project, name="one user", scope="user", value="u2", amount=9)
    limit(project, name="each tag", scope="tag", amount=9, project=project)
    limit(project, name="one project", scope="project", value=str(other.pk), amount=9)
    limit(
        project, name="one key", scope="key", value=str(make_call(project).caller.key_id), amount=9
    )
    ask(make_call(project, AT, user="u1", tags=("a", "b", "a")), read(project))
    key = make_call(project).caller.key_id
    assert set(counters(project)) == {"u1", "a", "b", key}
    ask(make_call(other, AT, tags=("c",)), read(other))
    assert set(counters(project)) == {"u1", "a", "b", key, other.pk.hex}
    long = "x" * 5000
    ask(make_call(project, AT, user=long), read(project))
    assert any(key.startswith("sha256:") for key in counters(project))


def test_models_are_those_that_answer(project: Project) -> None:
    limit(project, scope="model", amount=9)
    limit(project, name="Alias", scope="model", value="smart", amount=9)
    fallback = Target(connection="c", kind="anthropic", model="claude-x", provider="anthropic")
    call = make_call(project, AT, model="smart", targets=(TARGET, fallback))
    assert isinstance(ask(call, read(project)), Granted)
    assert set(counters(project)) == {"smart", "gpt-4o-mini", "claude-x"}
    tries = [
        Attempt(target=TARGET, began_at=0, error="timeout"),
        Attempt(target=fallback, began_at=1, status=200),
    ]
    settle(ended(call, attempts=tries))
    assert counters(project) == {"smart": (1, 0), "gpt-4o-mini": (0, 0), "claude-x": (1, 0)}


def test_a_call_whose_reservation_is_gone_is_charged(project: Project) -> None:
    from gateway import snapshot

    snapshot.forget()
    limit(project, metric="tokens", window="day", amount=100)
    limit(project, name="Requests", scope="organization", amount=9)
    call = make_call(project, AT)
    ask(call, read(project), bounds(80))
    late = AT + dt.timedelta(hours=1)
    assert sweeping.sweep(AT) == 0
    assert sweeping.sweep(late) == 1
    assert counters(project) == {project.pk.hex: (0, 0), "": (1, 0)}
    settle(ended(call))
    assert counters(project) == {project.pk.hex: (7, 0), "": (1, 0)}


def test_releasing_gives_everything_back(project: Project) -> None:
    limit(project, amount=1)
    limit(project, name="Dollars", metric="usd", window="day", amount=1)
    now, call = read(project), make_call(project, AT)
    ask(call, now)
    with transaction.atomic():
        assert settling.release([call]) == 1
        assert settling.release([call]) == 0
    assert counters(project) == {project.pk.hex: (0, 0)}
    assert isinstance(ask(make_call(project, AT), now), Granted)


def test_what_a_deleted_project_had_set_aside_is_put_right(project: Project) -> None:
    other: Project = ProjectFactory.create(organization=project.organization)
    limit(project, scope="organization", metric="usd", window="month", amount=1)
    BudgetFactory.create(organization=project.organization, is_hard=True)
    stays = make_call(other, AT)
    for call in (make_call(project, AT), stays):
        assert isinstance(ask(call, read(project)), Granted)
    assert sweeping.put_right(AT) == 0
    project.delete()
    assert sweeping.put_right(AT) == 2
    assert counters(other) == {"": (0, Decimal("0.01")), "budget": (0, Decimal("0.01"))}
    settle(ended(stays), costs={stays.id: Decimal("0.002")})
    assert counters(other) == {"": (Decimal("0.002"), 0), "budget": (0, 0)}
