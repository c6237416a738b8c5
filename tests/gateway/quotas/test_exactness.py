"""Whatever comes in whatever order: counters are what a simple model says, and hard limits are never overshot."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.models import LimitCounter, Reservation
from gateway.quotas import settling, spending
from gateway.quotas.bounds import Bounds
from gateway.quotas.deciding import Granted
from gateway.quotas.granting import Asked, Known, grant
from gateway.quotas.lines import lines_of
from gateway.structs import Call
from projects.models import Project
from tests.factories.gateway import LimitFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.quotas.calls import ended, make_call, read

pytestmark = pytest.mark.django_db
AT = dt.datetime(2026, 11, 18, 10, 20, 30, tzinfo=dt.UTC)
USERS = ("ann", "bob")

# What happens: a batch of calls (user, minute, most cents), the end of one under way (place, cents), a give-back.
_asks = st.tuples(
    st.just("ask"),
    st.lists(
        st.tuples(st.sampled_from(USERS), st.integers(0, 1), st.integers(1, 40)),
        min_size=1,
        max_size=5,
    ),
)
_ends = st.tuples(
    st.sampled_from(("end", "release", "twice")), st.integers(0, 9), st.integers(0, 40)
)
_steps = st.lists(st.one_of(_asks, _ends), max_size=25)


class Model:
    """What limits allow, the plain way: a request a minute and user up to 3, a dollar per day, 4 calls at once."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.spent = 0
        self.open: dict[str, tuple[str, int, int]] = {}

    def ask(self, call_id: str, user: str, minute: int, most: int) -> bool:
        used = self.requests.get((user, minute), 0)
        aside = sum(one[2] for one in self.open.values())
        if used >= 3 or self.spent + aside + most > 100 or len(self.open) >= 4:
            return False
        self.requests[user, minute] = used + 1
        self.open[call_id] = (user, minute, most)
        return True

    def end(self, call_id: str, cents: int) -> None:
        self.open.pop(call_id)
        self.spent += cents

    def release(self, call_id: str) -> None:
        user, minute, _ = self.open.pop(call_id)
        self.requests[user, minute] -= 1


def make_project() -> Project:
    found: Project = ProjectFactory.create()
    of = {"organization": found.organization}
    LimitFactory.create(**of, scope="user", amount=3)
    LimitFactory.create(**of, scope="organization", metric="usd", window="day", amount=1)
    LimitFactory.create(**of, scope="project", metric="concurrency", window="", amount=4)
    return found


@given(_steps)
@settings(max_examples=25)
def test_any_interleaving_is_the_models(steps: list[Any]) -> None:
    project = make_project()
    spending.forget()
    model, known, now, calls = Model(), Known(), read(project), dict[str, Call]()
    for kind, *rest in steps:
        if kind == "ask":
            made = [
                (
                    make_call(project, AT + dt.timedelta(minutes=minute), user=user),
                    user,
                    minute,
                    most,
                )
                for user, minute, most in rest[0]
            ]
            asked = [
                Asked(call, lines_of(call, now, Bounds(0, 0, Decimal(most) / 100), at), at)
                for call, _, minute, most in made
                for at in (AT + dt.timedelta(minutes=minute),)
            ]
            outcomes = grant(asked, owner="test", known=known, now=AT)
            for (call, *said), outcome in zip(made, outcomes, strict=True):
                assert isinstance(outcome, Granted) is model.ask(call.id, *said)
                call.has_reservation = isinstance(outcome, Granted)
                calls[call.id] = call
        elif model.open:
            place, cents = rest
            call_id = list(model.open)[place % len(model.open)]
            cents = min(cents, model.open[call_id][2])
            with transaction.atomic(), connection.cursor() as cursor:
                if kind == "end":
                    settling.settle(
                        cursor, [ended(calls[call_id])], AT, costs={call_id: Decimal(cents) / 100}
                    )
                    model.end(call_id, cents)
                else:
                    settling.release([calls[call_id]] * (2 if kind == "twice" else 1))
                    model.release(call_id)
        check(project, model)


def check(project: Project, model: Model) -> None:
    found = {
        (one.key.partition(":")[2], one.window_start): one
        for one in LimitCounter.objects.filter(organization=project.organization)
    }
    day = AT.replace(hour=0, minute=0, second=0)
    money = found.get(("", day))
    aside = Decimal(sum(one[2] for one in model.open.values())) / 100
    if money is not None:
        assert (money.used, money.reserved) == (Decimal(model.spent) / 100, aside)
        assert money.used + money.reserved <= 1
    for (user, minute), count in model.requests.items():
        start = AT.replace(second=0) + dt.timedelta(minutes=minute)
        assert found[user, start].used == count <= 3
    assert Reservation.objects.filter(project=project).count() == len(model.open)
