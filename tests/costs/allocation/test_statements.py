"""Teams, rules and statements from calls and bills: pages, API, closing, corrections, walls."""

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from costs.allocation import services, statements
from costs.allocation.services import TeamDraft
from costs.allocation.teams import matcher
from costs.explorer.ask import Question, answer
from costs.models import (
    AllocationRule,
    BilledCost,
    BillingAccount,
    Statement,
    StatementLine,
    Team,
)
from projects.connections import seal_credentials
from projects.models import Project, ProviderConnection
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db
BASE = "/organizations/acme/allocation/"
API = "/api/v1/organizations/acme"
CALL = Decimal("0.00045")
# A month that is over, and a day in it.
NOW = timezone.now()
MONTH = (NOW.date().replace(day=1) - dt.timedelta(days=1)).replace(day=1)
AT = dt.datetime.combine(MONTH, dt.time(12), dt.UTC) + dt.timedelta(days=10)
KEY = f"{MONTH:%Y-%m}"


@pytest.fixture
def project(acme: Any) -> Project:
    """Three calls last month: two of search by tag, one of a user; one this month."""
    project = ProjectFactory(organization=acme.organization, slug="checkout", name="Checkout")
    spans = [
        llm("a", trace_id="t1", started_at=AT, tags=("squad:search",)),
        llm("b", trace_id="t2", started_at=AT, tags=("squad:search-eu", "beta")),
        llm("c", trace_id="t3", started_at=AT, user_id="ann@acme.example"),
        llm("d", trace_id="t4", started_at=NOW - dt.timedelta(minutes=5), tags=("team:growth",)),
    ]
    write_spans(context_for(project), spans, now=NOW)
    return project


@pytest.fixture
def teams(acme: Any, project: Project) -> dict[str, Team]:
    found = {
        name: services.save_team(
            organization_id=acme.organization.pk,
            draft=TeamDraft(name, cost_centre=f"CC-{name}"),
            actor=acme.admin.user,
            now=NOW,
        )
        for name in ("Search", "People")
    }
    for team, field, value in (
        ("Search", "tag", "squad:search*"),
        ("People", "user", "*@acme.example"),
    ):
        services.add_rule(
            organization_id=acme.organization.pk,
            team_id=found[team].pk,
            field=field,
            value=value,
            actor=acme.admin.user,
            now=NOW,
        )
    return found


def _bill(acme: Any, amount: str, *, day: dt.date | None = None, key: str = "k") -> None:
    """OpenAI's bill of last month, read to its end."""
    connection, _ = ProviderConnection.objects.get_or_create(
        organization=acme.organization,
        name="OpenAI",
        provider="openai",
        defaults={"credentials": seal_credentials(acme.organization, acme.organization.pk, {})},
    )
    account, _ = BillingAccount.objects.get_or_create(
        connection=connection,
        organization=acme.organization,
        defaults={"synced_through": dt.datetime.combine(NOW.date(), dt.time(), dt.UTC)},
    )
    start = AT.replace(hour=0)
    BilledCost.objects.update_or_create(
        organization=acme.organization,
        account=account,
        day=day or AT.date(),
        natural_key=key,
        defaults={
            "starts_at": start,
            "ends_at": start + dt.timedelta(days=1),
            "source": "costs",
            "provider": "openai",
            "amount": Decimal(amount),
            "amount_usd": Decimal(amount),
            "currency": "USD",
            "fetched_at": timezone.now(),
        },
    )


def _compute(acme: Any) -> None:
    for statement in statements.ensure_months(acme.organization.pk, now=NOW):
        statements.compute(statement, now=NOW)


def _lines(month: dt.date = MONTH) -> list[tuple[str, str, str, Decimal]]:
    rows = StatementLine.objects.filter(statement__month=month)
    return sorted(rows.values_list("team_name", "kind", "provider", "amount_usd"))


def test_rules_find_teams_in_their_order(acme: Any, project: Project, teams: Any) -> None:
    found = matcher(acme.organization.pk)
    at = (project.pk, [], "", "")
    assert found.team_of(*at) == ""
    assert found.team_of(project.pk, ["squad:search-eu"], "", "ann@acme.example") == "Search"
    assert found.team_of(project.pk, ["team:growth"], "", "x") == "growth"
    last = AllocationRule.objects.get(field="user")
    services.move_rule(
        organization_id=acme.organization.pk, rule_id=last.pk, is_up=True, actor=None, now=NOW
    )
    found = matcher(acme.organization.pk)
    assert found.team_of(project.pk, ["squad:search-eu"], "", "ann@acme.example") == "People"


def test_explorer_groups_by_the_rules(project: Project, teams: Any) -> None:
    asked = Question(
        (project.pk,), AT.replace(hour=0), AT.replace(hour=23), by=("team",), measures=("cost_usd",)
    )
    assert {row.key: row["cost_usd"] for row in answer(asked).groups} == {
        ("Search",): 2 * CALL, ("People",): CALL,
    }  # fmt: skip


def test_statement_adds_up_to_the_bill(acme: Any, teams: Any) -> None:
    _bill(acme, "1.000000000000000001")
    _compute(acme)
    statement = Statement.objects.get(month=MONTH)
    assert (statement.bill_usd, statement.adjusted_usd) == (Decimal("1.000000000000000001"), 0)
    assert statements.line_total(statement) == statement.bill_usd
    assert _lines() == [
        ("People", "direct", "openai", Decimal("0.333333333333333334")),
        ("Search", "direct", "openai", Decimal("0.666666666666666667")),
    ]


def test_without_a_bill_records_count(acme: Any, teams: Any) -> None:
    _compute(acme)
    assert _lines() == [
        ("People", "direct", "openai", CALL), ("Search", "direct", "openai", 2 * CALL),
    ]  # fmt: skip
    assert _lines(NOW.date().replace(day=1)) == [("growth", "direct", "openai", CALL)]


def test_nothing_is_computed_twice(acme: Any, teams: Any) -> None:
    _compute(acme)
    statement = Statement.objects.get(month=MONTH)
    assert statements.compute(statement, now=NOW) is False
    _bill(acme, "2")
    statement.refresh_from_db()
    assert statements.compute(statement, now=NOW) is True


def test_closed_month_never_changes_and_corrections_go_forward(acme: Any, teams: Any) -> None:
    _bill(acme, "3")
    _compute(acme)
    actor = acme.admin.user
    with pytest.raises(statements.NotClosableError, match="not over"):
        statements.close_month(
            organization_id=acme.organization.pk,
            month=NOW.date().replace(day=1),
            actor=actor,
            now=NOW,
        )
    statements.close_month(organization_id=acme.organization.pk, month=MONTH, actor=actor, now=NOW)
    before = _lines()
    # The provider corrects the month, and somebody changes the rules: the closed month stays as it is.
    _bill(acme, "3.3")
    AllocationRule.objects.all().delete()
    _compute(acme)
    assert _lines() == before
    rows = StatementLine.objects.filter(kind="adjustment")
    assert sorted(rows.values_list("team_name", "adjusts_month", "amount_usd")) == [
        ("People", MONTH, Decimal("0.1")), ("Search", MONTH, Decimal("0.2")),
    ]  # fmt: skip
    this = Statement.objects.get(month=NOW.date().replace(day=1))
    assert this.adjusted_usd == Decimal("0.3")
    assert statements.line_total(this) == this.bill_usd + this.adjusted_usd
    assert AuditEvent.objects.filter(action="allocation.month.closed").exists()
    with pytest.raises(statements.NotClosableError, match="closed already"):
        statements.close_month(
            organization_id=acme.organization.pk, month=MONTH, actor=actor, now=NOW
        )


def test_shared_pool_with_percents(acme: Any, teams: dict[str, Team]) -> None:
    services.save_team(
        organization_id=acme.organization.pk,
        draft=TeamDraft("Search", "", True, "fixed", {str(teams["People"].pk): Decimal(50)}),
        actor=None,
        now=NOW,
        team_id=teams["Search"].pk,
    )
    _compute(acme)
    assert _lines() == [
        ("People", "direct", "openai", CALL),
        ("People", "shared", "", CALL),
        ("Search", "direct", "openai", 2 * CALL),
        ("Search", "passed", "", -CALL),
    ]


def test_pages_show_teams_rules_and_statements(
    acme: Any, client_of: Any, teams: Any, django_assert_max_num_queries: Any
) -> None:
    _bill(acme, "1")
    _compute(acme)
    client = client_of(acme.viewer)
    client.get(BASE)
    with django_assert_max_num_queries(30):
        page = client.get(BASE).content.decode()
    assert "squad:search*" in page
    assert "Unassigned" in page
    assert f"{BASE}teams/new/" not in page  # a viewer changes nothing
    listed = client.get(f"{BASE}statements/").content.decode()
    assert "Ready to close" in listed
    with django_assert_max_num_queries(12):
        month = client.get(f"{BASE}statements/{KEY}/?team=Search").content.decode()
    assert "to the last digit" in month
    rows = list(
        csv.DictReader(
            io.StringIO(client.get(f"{BASE}statements/{KEY}/export.csv").getvalue().decode())
        )
    )
    assert sum(Decimal(row["amount_usd"]) for row in rows) == Decimal(1)
    assert {row["cost_centre"] for row in rows} == {"CC-Search", "CC-People"}


def test_admin_works_with_forms(acme: Any, client_of: Any, project: Project) -> None:
    client = client_of(acme.admin)
    assert client.post(f"{BASE}teams/new/", {"name": "Ops"}).status_code == 302
    ops = Team.objects.get(name="Ops")
    taken = client.post(f"{BASE}teams/new/", {"name": "ops"})
    assert (taken.status_code, "Another team is called" in taken.content.decode()) == (422, True)
    chosen = {"team": ops.pk, "field": "project", "project": project.pk}
    assert client.post(f"{BASE}rules/", chosen).status_code == 302
    again = client.post(f"{BASE}rules/", chosen)
    assert (again.status_code, "belongs to Ops already" in again.content.decode()) == (422, True)
    rule = AllocationRule.objects.get()
    assert client.post(f"{BASE}rules/{rule.pk}/", {"do": "jump"}).status_code == 400
    assert client.post(f"{BASE}rules/{rule.pk}/", {"do": "remove"}).status_code == 302
    assert client.post(f"{BASE}teams/{ops.pk}/archive/").status_code == 302
    assert Team.objects.get().archived_at is not None


def test_api_answers_exactly_and_says_what_is_wrong(
    acme: Any, client_of: Any, teams: dict[str, Team]
) -> None:
    client = client_of(acme.admin)
    _compute(acme)

    def post(path: str, body: dict[str, Any]) -> Any:
        return client.post(f"{API}/{path}", body, content_type="application/json")

    made = post("teams", {"name": "Ops", "cost_centre": "7"})
    assert (made.status_code, made.json()["cost_centre"]) == (201, "7")
    pool = {"name": "Pool", "is_shared": True, "method": "fixed"}
    wrong = post("teams", {**pool, "percents": {"x": "10"}})
    assert (wrong.status_code, wrong.json()["fields"]) == (400, ["percents"])
    many = {str(teams["Search"].pk): "60", str(teams["People"].pk): "41"}
    assert "add up to 101" in post("teams", {**pool, "percents": many}).json()["detail"]
    rule = {"team": str(teams["Search"].pk), "field": "api_key", "value": "moon"}
    assert post("allocation-rules", rule).json()["fields"] == ["value"]
    body = client.get(f"{API}/statements/{KEY}").json()
    assert sorted((line["team"], line["amount_usd"]) for line in body["lines"]) == [
        ("People", "0.00045"), ("Search", "0.0009"),
    ]  # fmt: skip
    assert client.get(f"{API}/statements/2026-13").status_code == 400
    closed = client.post(f"{API}/statements/{KEY}/closure")
    # An earlier month may be open: it must be closed first; here this is the first.
    assert (closed.status_code, closed.json()["is_closed"]) == (201, True)


def test_others_see_and_change_nothing(
    acme: Any, globex: Any, client_of: Any, teams: dict[str, Team], project: Project
) -> None:
    _compute(acme)
    stranger, viewer = client_of(globex.owner), client_of(acme.viewer)
    team, rule = teams["Search"].pk, AllocationRule.objects.first()
    assert rule is not None
    for path in ("", "statements/", f"statements/{KEY}/", f"statements/{KEY}/export.csv"):
        assert stranger.get(f"{BASE}{path}").status_code == 404
        assert Client().get(f"{BASE}{path}").status_code == 302
    for path in (
        "teams/new/", f"teams/{team}/", f"teams/{team}/archive/", "rules/", f"rules/{rule.pk}/",
        f"statements/{KEY}/close/",
    ):  # fmt: skip
        assert stranger.post(f"{BASE}{path}", {"name": "X", "do": "remove"}).status_code == 404
        assert viewer.post(f"{BASE}{path}", {"name": "X", "do": "remove"}).status_code == 403
    # Through the own organisation another's team is as unknown as one that never was.
    own = f"/organizations/globex/allocation/teams/{team}/"
    assert stranger.post(own, {"name": "X"}).status_code == 404
    raw = raw_key(17)
    ApiKeyFactory(project=project, raw=raw, scopes=["read", "admin"])
    key = Client(headers={"Authorization": f"Bearer {raw}"})
    assert key.get(f"{API}/statements").status_code == 403
    assert Team.objects.filter(archived_at=None).count() == 2
    assert AllocationRule.objects.count() == 2
    assert not Statement.objects.exclude(closed_at=None).exists()
