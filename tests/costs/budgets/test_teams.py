"""A team's budget where the organisation has allocation rules: the calls the explorer gives to the team, everywhere."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from costs.allocation.teams import Matcher, compiled
from costs.budgets.applying import applying, standings_for
from costs.budgets.details import detail_of, spender_tables
from costs.budgets.drafts import read_draft
from costs.budgets.preview import preview_of
from costs.budgets.scopes import Call
from costs.budgets.selectors import (
    amounts,
    daily_spend,
    daily_spends,
    hourly_amounts,
    part_of,
    standing,
    standings,
)
from costs.budgets.spenders import known_values
from costs.budgets.teams import team_of_all
from costs.explorer.ask import Question, answer
from costs.forecasting.series import budget_series
from costs.models import AllocationBook, AllocationRule, Team
from costs.services.record_costs import ensure_partitions, record_costs
from costs.usage import ChargeableCall
from tests.factories.budgets import BudgetFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC)
KEY = "0190c0de-0000-7000-8000-000000000001"
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def project(acme: Any) -> Any:
    return ProjectFactory(organization=acme.organization, slug="checkout")


@pytest.fixture
def other(acme: Any, project: Any) -> Any:
    return ProjectFactory(organization=acme.organization, slug="billing")


def rule(organization: Any, team: str, field: str, value: str) -> None:
    AllocationRule.objects.create(
        organization=organization,
        team=Team.objects.get_or_create(organization=organization, name=team)[0],
        position=AllocationRule.objects.count(),
        field=field,
        value=value,
    )
    book, _ = AllocationBook.objects.get_or_create(organization=organization)
    book.version += 1
    book.save()


def call(project: Any, at: dt.datetime, usd: str | None, **values: Any) -> None:
    ensure_partitions([at.date()])
    made = ChargeableCall(
        record_id=f"{at:%d%H}{usd}{values}",
        occurred_at=at,
        client_cost_usd=None if usd is None else Decimal(usd),
        **values,
    )
    record_costs(project_id=project.pk, calls=[made], now=max(NOW, at))


@pytest.fixture
def calls(project: Any, other: Any) -> None:
    """Of core by a tag, a user, a project or the old tag; of growth though they have core's tag; of nobody."""
    call(project, NOW, "1", tags=("squad:core-eu",))
    call(project, NOW - 2 * HOUR, "0.000000000001", user_id="ann@acme.example")
    call(project, NOW - 2 * DAY, "4", tags=("team:core",))
    call(project, NOW - 3 * DAY, "8", tags=("team:core",), api_key_id=KEY)
    call(project, NOW - 3 * DAY, "16", tags=("x",))
    call(other, NOW - 4 * DAY - 11 * HOUR, "32", tags=("squad:core",))
    call(other, NOW - 5 * DAY, None, tags=("squad:core",))


@pytest.fixture
def rules(acme: Any) -> None:
    rule(acme.organization, "growth", "api_key", KEY)
    rule(acme.organization, "core", "tag", "squad:core*")
    rule(acme.organization, "core", "user", "*@acme.example")


def budget(acme: Any, value: str = "core", **values: Any) -> Any:
    return BudgetFactory.create(
        organization=acme.organization, scope="team", value=value, amount_usd=Decimal(50), **values
    )


def test_rules_say_what_a_team_spends(acme, project, other, calls, rules) -> None:
    whole, one, growth = budget(acme), budget(acme, project=project), budget(acme, "growth")
    daily = budget(acme, period="daily", time_zone="Asia/Kolkata")
    late = budget(acme, starts_on=dt.date(2026, 11, 17), is_hard=True)
    past = budget(acme, ends_on=dt.date(2026, 9, 30))
    by_tag = BudgetFactory.create(organization=acme.organization, scope="tag", value="team:core")
    found = standings([whole, one, growth, daily, late, past, by_tag], NOW)
    assert [one.spent_usd for one in found] == [
        Decimal(text)
        for text in ("37.000000000001", "5.000000000001", "8", "1.000000000001", "5.000000000001", "0", "12")
    ]  # fmt: skip
    assert [one.unpriced_calls for one in found] == [1, 0, 0, 0, 0, 0, 0]
    explorer = answer(
        Question(
            (project.pk, other.pk), NOW.replace(day=1, hour=0, minute=0), NOW.replace(hour=11, minute=0), ("team",)
        )
    )  # fmt: skip
    assert {row.key: row["cost_usd"] for row in explorer.groups} == {
        ("core",): found[0].spent_usd,
        ("growth",): found[2].spent_usd,
        ("",): Decimal(16),
    }


def test_days_and_hours_of_a_team_are_its_own(acme, calls, rules) -> None:
    whole, kolkata = budget(acme), budget(acme, time_zone="Asia/Kolkata")
    first, end = dt.date(2026, 11, 1), dt.date(2026, 11, 21)
    days = {15: "0", 18: "4", 20: "1.000000000001"}
    expected = {dt.date(2026, 11, day): Decimal(usd) for day, usd in days.items()}
    # 23:30 UTC is the next day in India.
    assert daily_spend(whole, first, end) == expected | {dt.date(2026, 11, 15): Decimal(32)}
    assert daily_spend(kolkata, first, end) == expected | {dt.date(2026, 11, 16): Decimal(32)}
    assert daily_spends([whole, kolkata], first, end) == [
        daily_spend(whole, first, end),
        daily_spend(kolkata, first, end),
    ]
    assert list(hourly_amounts(whole, NOW - DAY, NOW)) == [
        NOW.replace(hour=8, minute=0),
        NOW.replace(minute=0),
    ]
    assert [one.name.value for one in budget_series(acme.organization.pk, NOW.date())] == [
        str(whole.pk),
        str(kolkata.pk),
    ]
    gone = part_of(whole, NOW + DAY, NOW)
    assert amounts([gone])[0].calls == 0


def test_without_rules_a_team_is_its_tag(acme, project, calls) -> None:
    """So it is with teams that have no rules, and in other organisations."""
    Team.objects.create(organization=acme.organization, name="core")
    rule(ProjectFactory().organization, "core", "tag", "x")
    whole = budget(acme)
    assert standing(whole, NOW).spent_usd == 12
    assert daily_spend(whole, dt.date(2026, 11, 18), dt.date(2026, 11, 21)) == {
        dt.date(2026, 11, 18): Decimal(4)
    }
    both = Call(project.pk, tags=("team:core", "team:another"))
    assert [one.budget for one in standings_for(acme.organization.pk, both, NOW)] == [whole]
    assert applying(acme.organization.pk, both, NOW, only_counting=True).rules is None


@pytest.mark.parametrize(
    ("facts", "team"),
    [
        ({"tags": ("squad:core-us",)}, "core"),
        ({"user": "bob@acme.example"}, "core"),
        ({"tags": ("team:core",)}, "core"),
        # The key's rule comes first.
        ({"tags": ("squad:core", "team:core"), "key": KEY}, "growth"),
        ({"tags": ("team:growth", "team:core")}, "core"),
        ({"user": "bob"}, ""),
    ],
)
def test_a_call_counts_towards_the_budget_of_its_team(acme, project, rules, facts, team) -> None:
    for name in ("core", "growth"):
        budget(acme, name)
    asked = Call(project.pk, **facts)
    found = standings_for(acme.organization.pk, asked, NOW)
    assert [one.budget.value for one in found] == ([team] if team else [])
    assert applying(acme.organization.pk, asked, NOW, only_counting=True).strictest == (
        found[0] if found else None
    )


def test_a_draft_fires_and_a_page_shows_by_rules(acme, project, other, calls, rules) -> None:
    draft = {
        "name": "Core",
        "scope": "team",
        "value": "core",
        "period": "monthly",
        "amount_usd": "36",
    }
    preview = preview_of(read_draft(acme.organization.pk, draft), NOW)
    assert [(one.mark, one.at) for one in preview.crossings] == [
        (100, NOW - 2 * DAY - dt.timedelta(minutes=30))
    ]
    saved = budget(acme, thresholds=[60])
    detail = detail_of(saved, NOW)
    assert [(one.mark, one.at.day) for one in detail.crossings] == [(60, 15)]
    assert detail.past[0].spent.cost_usd == detail.standing.spent_usd
    projects = {project.pk: project, other.pk: other}
    names = {pk: one.slug for pk, one in projects.items()}
    for one in projects.values():
        one.ref = one.slug
    tables = spender_tables(saved, detail.standing, projects, names)
    assert [table.by for table in tables] == ["project", "model", "agent"]
    first = tables[0].rows
    assert [(row.label, row.amount.cost_usd, row.amount.unpriced_calls) for row in first] == [
        ("billing", Decimal(32), 1),
        ("checkout", Decimal("5.000000000001"), 0),
    ]
    period = "2026-11-01T00%3A00Z..2026-12-01T00%3A00Z"
    assert first[0].href.endswith(f"/costs/?range={period}&by=project&project={other.pk}&team=core")
    assert known_values(acme.organization.pk, NOW)["team"] == ["growth", "core"]


def test_the_page_of_a_team_links_to_its_calls(
    acme, project, other, rules, client_of, django_assert_max_num_queries
) -> None:
    for one in (project, other):
        call(one, timezone.now(), "1", tags=("squad:core",))
    saved = budget(acme)
    client = client_of(acme.viewer)
    path = f"/organizations/{acme.organization.slug}/budgets/{saved.pk}/"
    client.get(path)
    with django_assert_max_num_queries(60):
        shown = client.get(path)
    text = shown.content.decode()
    assert shown.status_code == 200
    assert "rules under Allocation" in text
    for one in (project, other):
        assert f"project={one.pk}&amp;team=core" in text
    href = next(one for one in text.split('"') if "team=core" in one).replace("&amp;", "&")
    assert client.get(href).status_code == 200


def test_many_teams_ask_no_more_and_other_scopes_nothing_new(
    acme, project, calls, rules, django_assert_num_queries
) -> None:
    def queries(budgets: list[Any]) -> int:
        with CaptureQueriesContext(connection) as seen:
            standings(budgets, NOW)
        return len(seen)

    periods = ["daily", "weekly", "monthly"]
    many = [budget(acme, value, period=one) for value in ("core", "growth", "x") for one in periods]
    # Days are kept and in memory from here on.
    queries(many)
    assert queries(many) == queries(many[:1]) <= 8
    users = BudgetFactory.create(organization=acme.organization, scope="user", value="ann")
    with django_assert_num_queries(1):
        standings([users], NOW)


def test_a_program_is_told_what_it_cannot_tell_by_tags(acme, project, rules) -> None:
    raw = "llmlab_sk_budgets_00000000000000000000000000"
    key = ApiKeyFactory(project=project, raw=raw, scopes=["read"])
    for name in ("core", "growth", "shop"):
        budget(acme, name, name=name, is_hard=True)
    BudgetFactory.create(organization=acme.organization, scope="tag", value="x", name="x")
    call(project, timezone.now(), "64", tags=("squad:core",))

    def ask(query: str = "", etag: str = "") -> Any:
        headers = {"Authorization": f"Bearer {raw}", "If-None-Match": etag}
        return Client().get(f"/api/v1/projects/checkout/budgets{query}", headers=headers)

    def told(said: Any, what: str) -> set[str]:
        return {one["name"] for one in said.json()["results"] if one[what]}

    first = ask()
    assert {one["name"]: one["spent_usd"] for one in first.json()["results"]} == {
        "core": "64", "growth": "0", "shop": "0", "x": "0",
    }  # fmt: skip
    assert told(first, "counts_by_rules") == {"core", "growth", "shop"}
    assert told(first, "counts_every_call") == set()
    assert not first.json()["is_blocked"]
    # Of a described call the server knows.
    assert told(ask("?tag=squad:core"), "is_hard") == {"core"}
    assert ask("?user=ann@acme.example").json()["is_blocked"]
    assert told(ask(f"?tag=squad:core&key={KEY}"), "is_hard") == {"growth"}
    assert ask(etag=first["ETag"]).status_code == 304
    rule(acme.organization, "shop", "project", str(project.pk))
    second = ask(etag=first["ETag"])
    assert second.status_code == 200
    assert told(second, "counts_every_call") == set()
    AllocationRule.objects.all().delete()
    rule(acme.organization, "growth", "api_key", str(key.pk))
    third = ask()
    assert told(third, "counts_every_call") == {"growth"}
    AllocationRule.objects.all().delete()
    rule(acme.organization, "core", "tag", "nothing")
    AllocationRule.objects.all().delete()
    AllocationBook.objects.update(version=99)
    assert told(ask(), "counts_by_rules") == set()


@pytest.mark.parametrize(
    ("rules_in_order", "key", "team"),
    [
        ((), "k", ""),
        ((("a", "tag", "t"),), "k", ""),
        ((("a", "project", "p"), ("b", "tag", "t")), "k", "a"),
        ((("b", "tag", "t"), ("a", "project", "p")), "k", ""),
        ((("a", "tag", "t"), ("a", "user", "u"), ("a", "project", "p")), "k", "a"),
        ((("b", "project", "another"), ("b", "api_key", "another"), ("a", "project", "p")), "k", "a"),
        ((("b", "api_key", "k"), ("a", "project", "p")), "k", "b"),
        # Of a key that nobody named.
        ((("b", "api_key", "k"), ("a", "project", "p")), "", ""),
        ((("a", "api_key", "k"),), "", ""),
    ],
)  # fmt: skip
def test_rules_that_give_one_team_every_call(rules_in_order, key, team) -> None:
    here = uuid4()
    made = [
        compiled(name, field, str(here) if value == "p" else value)
        for name, field, value in rules_in_order
    ]
    assert team_of_all(Matcher(tuple(made), 1), here, key) == team
