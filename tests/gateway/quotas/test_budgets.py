"""Hard budgets of costs: what the ledger says was spent and what is set aside, together never more than the budget."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage
from gateway import snapshot
from gateway.quotas import settling, spending
from gateway.quotas.deciding import Granted, Refused
from gateway.quotas.granting import Known
from gateway.structs import Call
from projects.models import Project
from tests.factories.budgets import BudgetFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.quotas.calls import KEY, TARGET, ask, bounds, counters, ended, make_call, read

pytestmark = pytest.mark.django_db
AT = dt.datetime.now(dt.UTC)


@pytest.fixture
def project() -> Project:
    spending.forget()
    snapshot.forget()
    found: Project = ProjectFactory.create()
    return found


def budget(of: Project, **values: Any) -> Any:
    return BudgetFactory.create(
        **{
            "organization": of.organization,
            "period": "monthly",
            "amount_usd": "0.03",
            "is_hard": True,
            "scope": "organization",
            "project": None,
            **values,
        }
    )


def spend(call: Call, project: Project, cost: str) -> None:
    """As the recorder does: into the ledger, then settled."""
    with transaction.atomic(), connection.cursor() as cursor:
        record_costs(
            project_id=project.pk,
            calls=[
                ChargeableCall(
                    record_id=call.id,
                    occurred_at=dt.datetime.fromtimestamp(call.accepted_at, dt.UTC),
                    provider="somewhere",
                    model="gpt-4o-mini-2024-07-18",
                    client_cost_usd=Decimal(cost),
                    usage=Usage(input_tokens=1, output_tokens=1),
                    tags=call.caller.tags,
                )
            ],
            now=AT,
        )
        settling.settle(cursor, [ended(call)], AT)


def test_spent_and_set_aside(project: Project) -> None:
    budget(project, name="All of it")
    now, calls = read(project), [make_call(project, AT) for _ in range(4)]
    outcomes = [ask(call, now) for call in calls]
    assert [isinstance(one, Granted) for one in outcomes] == [True, True, True, False]
    assert outcomes[0].headers == {"x-llmlab-budget-remaining-usd": "0.02"}
    refused = outcomes[3]
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert refused.message.startswith(
        "The hard budget “All of it” of $0.03 a month for the organisation has $0.00 left ($0.03 set aside"
    )
    for call in calls[:3]:
        spend(call, project, "0.001")
    assert counters(project) == {"budget": (0, 0)}
    again = ask(make_call(project, AT), now)
    assert again.headers == {"x-llmlab-budget-remaining-usd": "0.017"}
    assert isinstance(ask(make_call(project, AT), now, bounds(usd="0.018")), Refused)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({"scope": "user", "value": "u1"}, True),
        ({"scope": "user", "value": "u2"}, False),
        ({"scope": "tag", "value": "batch"}, True),
        ({"scope": "team", "value": "search"}, True),
        ({"scope": "agent", "value": "planner"}, True),
        ({"scope": "model", "value": "gpt-4o-mini"}, True),
        ({"scope": "model", "value": "gpt-4o-mini-2024-07-18"}, True),
        ({"scope": "model", "value": "gpt-4o"}, False),
        ({"scope": "model", "value": "gpt-4o-mini-high"}, False),
        ({"starts_on": dt.date(2999, 1, 1)}, False),
        ({"is_paused": True}, False),
        ({"is_hard": False}, False),
    ],
)
def test_which_calls_count(project: Project, values: dict[str, Any], counts: bool) -> None:
    budget(project, **values)
    call = make_call(
        project, AT, user="u1", tags=("batch", "team:search"), agent="planner", targets=(TARGET,)
    )
    assert isinstance(ask(call, read(project), bounds(usd="0.04")), Refused) is counts


def test_a_project_and_a_key_of_it(project: Project) -> None:
    other = ProjectFactory.create(organization=project.organization)
    budget(project, name="Project", scope="project", project=project)
    budget(project, name="Key", scope="key", value=str(KEY), project=project)
    ask(make_call(project, AT), read(project))
    assert counters(project) == {"budget": (0, Decimal("0.01"))}
    assert isinstance(ask(make_call(other, AT), read(other), bounds(usd="9")), Granted)


def test_the_ledger_is_read_again_only_when_it_grew(
    project: Project, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    budget(project)
    now, known = read(project), Known()
    first = make_call(project, AT)
    ask(first, now, bounds(usd="0.001"), known)
    with django_assert_num_queries(5):  # savepoint, lock, mark, write, release
        ask(make_call(project, AT), now, bounds(usd="0.001"), known)
    spend(first, project, "0.001")
    with django_assert_num_queries(6):
        ask(make_call(project, AT), now, bounds(usd="0.001"), known)


def test_a_change_of_a_budget_reaches_the_snapshot(project: Project) -> None:
    one = budget(project)
    ids = (project.organization_id, project.pk)
    assert snapshot.snapshot_of(*ids, now=1).budgets[0].amount_usd == Decimal("0.03")
    one.amount_usd = 7
    one.save()
    assert snapshot.snapshot_of(*ids, now=1.5).budgets[0].amount_usd == Decimal("0.03")
    assert snapshot.snapshot_of(*ids, now=3).budgets[0].amount_usd == 7
    one.delete()
    assert not snapshot.snapshot_of(*ids, now=5).budgets
