"""Saving budgets: what is refused and in which words, what is audited, which limit held when."""

import datetime as dt
from decimal import Decimal

import pytest

from accounts.models import AuditEvent
from core.errors import DomainError, NotFoundError
from costs.budgets import services
from costs.budgets.drafts import read_draft
from costs.models import Budget, BudgetChange
from tests.factories.accounts import OrganizationFactory, UserFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC)
PLAIN = {
    "name": "Everything",
    "scope": "organization",
    "period": "monthly",
    "amount_usd": "18,000.50",
    "thresholds": "80 50,50% 100",
    "is_hard": True,
}


@pytest.fixture
def organization():
    return OrganizationFactory.create()


def saved(organization, **values):
    draft = read_draft(organization.pk, PLAIN | values)
    return services.create_budget(draft=draft, author=None, now=NOW)


def test_a_budget_is_saved_as_asked_with_its_first_terms_and_an_audit_event(organization) -> None:
    budget = saved(organization)
    budget.refresh_from_db()
    assert (budget.amount_usd, budget.thresholds, budget.time_zone) == (
        Decimal("18000.5"),
        [50, 80],
        "UTC",
    )
    change = BudgetChange.objects.get()
    assert (change.valid_from, change.amount_usd, change.is_hard) == (NOW, Decimal("18000.5"), True)
    event = AuditEvent.objects.get(action="budgets.budget.created")
    assert event.target == "Everything"
    assert event.data["amount_usd"] == "18000.5"


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"name": "  "}, "name", "what people call"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"scope": "planet"}, "scope", "organization, project"),
        ({"scope": "project"}, "project", "whose calls count"),
        ({"scope": "project", "project": "no-such"}, "project", "of this organisation"),
        ({"project": "p"}, "project", "empty for the whole"),
        ({"value": "x"}, "value", "empty"),
        ({"scope": "user"}, "value", "the user's id"),
        ({"scope": "key", "value": "abc"}, "value", "API key"),
        ({"period": "yearly"}, "period", "daily, weekly"),
        ({"period": "rolling"}, "rolling_days", "2 to 366"),
        ({"period": "rolling", "rolling_days": "1"}, "rolling_days", "2 to 366"),
        ({"rolling_days": 7}, "rolling_days", "empty unless"),
        ({"amount_usd": "0"}, "amount_usd", "above 0"),
        ({"amount_usd": "1,5"}, "amount_usd", "above 0"),
        ({"amount_usd": 1.5}, "amount_usd", "as text"),
        ({"amount_usd": "1e-13"}, "amount_usd", "12 decimals"),
        ({"amount_usd": "NaN"}, "amount_usd", "above 0"),
        ({"thresholds": [0]}, "thresholds", "1 to 1000"),
        ({"thresholds": list(range(1, 12))}, "thresholds", "at most 10"),
        ({"thresholds": {"a": 1}}, "thresholds", "a list"),
        ({"time_zone": "Mars/Base"}, "time_zone", "Europe/Berlin"),
        ({"is_hard": "yes"}, "is_hard", "true or false"),
        ({"starts_on": "tomorrow"}, "starts_on", "a day such as"),
        ({"starts_on": "2026-11-02", "ends_on": "2026-11-01"}, "ends_on", "not before"),
        ({"note": "a\x00b"}, "note", "without NUL"),
    ],
)  # fmt: skip
def test_what_no_budget_can_be_is_refused_naming_field_and_rule(
    organization, values, field, words
) -> None:
    with pytest.raises(DomainError) as refused:
        saved(organization, **values)
    assert refused.value.fields == (field,)
    assert words in refused.value.detail
    assert not Budget.objects.exists()


def test_a_key_names_its_project_and_another_organisations_is_unknown(organization) -> None:
    mine = ApiKeyFactory.create(project__organization=organization)
    foreign = ApiKeyFactory.create()
    budget = saved(organization, scope="key", value=str(mine.pk))
    assert (budget.project_id, budget.value) == (mine.project_id, str(mine.pk))
    for values in (
        {"scope": "key", "value": str(foreign.pk)},
        {"scope": "project", "project": str(foreign.project_id)},
        {"scope": "user", "value": "ada", "project": foreign.project.slug},
    ):
        with pytest.raises(DomainError, match="of this organisation"):
            saved(organization, name="Other", **values)


def test_names_are_unique_in_an_organisation_whatever_their_case(organization) -> None:
    saved(organization)
    with pytest.raises(services.NameTakenError):
        saved(organization, name="EVERYTHING")
    saved(OrganizationFactory.create())
    assert Budget.objects.count() == 2


def test_a_change_keeps_what_held_before_and_says_what_it_was(organization) -> None:
    author = UserFactory.create()
    budget = saved(organization)
    later = NOW + dt.timedelta(days=1)

    def change(**values):
        return services.change_budget(
            organization_id=organization.pk,
            budget_id=budget.pk,
            draft=read_draft(organization.pk, PLAIN | values),
            author=author,
            now=later,
        )

    change()
    assert AuditEvent.objects.filter(action="budgets.budget.changed").count() == 0
    change(amount_usd="20000", note="more people")
    change(amount_usd="20000", note="many more people")
    assert [str(one.amount_usd.normalize()) for one in budget.changes.order_by("valid_from")] == [
        "18000.5", "2E+4",
    ]  # fmt: skip
    first = AuditEvent.objects.filter(action="budgets.budget.changed").order_by("id").first()
    assert first.data["before"] == {"amount_usd": "18000.5", "note": ""}
    assert first.actor == author


def test_pausing_and_deleting_are_audited_and_need_the_organisation(organization) -> None:
    budget, stranger = saved(organization), BudgetFactory.create()
    for is_paused in (True, True, False):
        services.pause_budget(
            organization_id=organization.pk, budget_id=budget.pk, is_paused=is_paused, author=None,
            now=NOW + dt.timedelta(hours=is_paused),
        )  # fmt: skip
    with pytest.raises(NotFoundError):
        services.delete_budget(organization_id=organization.pk, budget_id=stranger.pk, author=None)
    services.delete_budget(organization_id=organization.pk, budget_id=budget.pk, author=None)
    assert list(Budget.objects.all()) == [stranger]
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == [
        f"budgets.budget.{verb}" for verb in ("created", "paused", "resumed", "deleted")
    ]


def test_a_deleted_project_takes_its_budgets_along(organization) -> None:
    project = ProjectFactory.create(organization=organization)
    saved(organization, scope="project", project=project.slug)
    project.delete()
    assert not Budget.objects.exists()
