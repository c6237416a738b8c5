"""The pages of budgets: list, form with preview, one budget, the dashboard's panel."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from costs.budgets import services
from costs.budgets.drafts import read_draft
from costs.models import Budget
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import add_hour
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
FORM = {
    "name": "Support team", "amount_usd": "1,000", "period": "monthly", "scope": "organization",
    "thresholds": "50, 80", "time_zone": "UTC",
}  # fmt: skip
HTMX = {"HX-Request": "true"}


def url(name: str, *args: Any, **query: str) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"costs:{name}", args=args) + (f"?{text}" if text else "")


@pytest.fixture
def project(acme: Any) -> Any:
    return ProjectFactory(organization=acme.organization, slug="checkout", name="Checkout")


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


def spend(project: Any, usd: str, *, back: dt.timedelta = dt.timedelta(0), **values: Any) -> None:
    hour = (timezone.now() - back).replace(minute=0, second=0, microsecond=0)
    add_hour(project.pk, hour, cost_usd=Decimal(usd), **values)


def budget(acme: Any, **values: Any) -> Budget:
    return BudgetFactory.create(organization=acme.organization, **values)


def names(response: Any) -> list[str]:
    return [row.budget.name for row in response.context["rows"]]


def test_the_list_says_state_share_and_outlook_most_used_first(acme, project, admin) -> None:
    spend(project, "90")
    budget(acme, name="Everything", amount_usd=Decimal(1000))
    budget(acme, name="Checkout", scope="project", project=project, amount_usd=Decimal(80))
    budget(acme, name="Resting", is_paused=True, amount_usd=Decimal(1))
    response = admin.get(url("budget_list", "acme"))
    assert names(response) == ["Checkout", "Everything", "Resting"]
    text = response.content.decode()
    assert "112.5%" in text
    assert "The money is gone: $10.00 over." in text
    assert "Paused: it neither tells nor blocks." in text


def test_the_list_filters_sorts_pages_and_exports(acme, project, admin) -> None:
    spend(project, "10", dimension="user", value="ada")
    spend(project, "10")
    for number in range(52):
        budget(
            acme, name=f"B{number:02}", scope="user", value="=ada", amount_usd=Decimal(number + 1)
        )
    budget(acme, name="Whole", amount_usd=Decimal(5))
    first = admin.get(url("budget_list", "acme", sort="name", scope="user"))
    assert len(names(first)) == 50
    after = first.context["after"]
    assert names(admin.get(url("budget_list", "acme", sort="name", scope="user", after=after))) == [
        "B50",
        "B51",
    ]
    assert names(admin.get(url("budget_list", "acme", state="over"))) == ["Whole"]
    assert names(admin.get(url("budget_list", "acme", q="whol"), headers=HTMX)) == ["Whole"]
    assert names(admin.get(url("budget_list", "acme", sort="-amount")))[0] == "B51"
    export = admin.get(url("budget_export", "acme", sort="name")).content.decode().splitlines()
    assert len(export) == 54
    assert ",'=ada," in export[1]
    for query in ({"state": "x"}, {"scope": "x"}, {"sort": "x"}, {"after": "x"}, {"q": "%00"}):
        assert admin.get(url("budget_list", "acme", **query)).status_code == 400


def test_the_list_costs_the_same_however_many_budgets(
    acme, project, admin, django_assert_max_num_queries
) -> None:
    spend(project, "1")
    for number in range(20):
        budget(acme, project=project, scope="user", value=f"u{number}")
    admin.get(url("budget_list", "acme"))
    with django_assert_max_num_queries(12):
        admin.get(url("budget_list", "acme"))


def test_a_saved_form_is_the_budget(acme, project, admin) -> None:
    sent = FORM | {"scope": "user", "value": "ada", "project": str(project.pk), "is_hard": "on"}
    response = admin.post(url("budget_create", "acme"), sent)
    made = Budget.objects.get()
    assert response["Location"] == url("budget_detail", "acme", made.pk)
    assert (made.amount_usd, made.thresholds, made.is_hard, made.project) == (
        1000,
        [50, 80],
        True,
        project,
    )
    form = admin.get(url("budget_edit", "acme", made.pk)).context["form"]
    again = {name: form[name].value() or "" for name in form.fields} | {
        "amount_usd": "2000",
        "is_hard": "on",
    }
    admin.post(url("budget_edit", "acme", made.pk), again)
    made.refresh_from_db()
    assert (made.amount_usd, made.value, made.changes.count()) == (2000, "ada", 2)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount_usd": "lots"}, "amount_usd"),
        ({"scope": "user"}, "value"),
        ({"period": "rolling"}, "rolling_days"),
        ({"name": "taken"}, "name"),
        ({"time_zone": "Mars"}, "time_zone"),
    ],
)
def test_a_wrong_form_says_so_at_its_field_and_saves_nothing(acme, admin, values, field) -> None:
    budget(acme, name="Taken")
    response = admin.post(url("budget_create", "acme"), FORM | values)
    assert response.status_code == 422
    assert field in response.context["form"].errors
    assert Budget.objects.count() == 1


def test_the_preview_says_how_often_it_would_have_fired_and_saves_nothing(
    acme, project, admin
) -> None:
    for days in (40, 10):
        spend(project, "600", back=dt.timedelta(days=days))
    sent = FORM | {
        "preview": "1",
        "period": "daily",
        "amount_usd": "600",
        "thresholds": "50",
        "is_hard": "on",
    }
    page = admin.post(url("budget_create", "acme"), sent)
    part = admin.post(url("budget_create", "acme"), sent, headers=HTMX)
    for response in (page, part):
        text = response.content.decode()
        assert "It would have fired 4 times in the last 90 days." in text
        assert "The limit itself was reached 2 times; from then on calls" in text
        assert "Hard limit" in text
    assert "<h1>" in page.content.decode()
    assert "<h1>" not in part.content.decode()
    wrong = admin.post(url("budget_create", "acme"), sent | {"amount_usd": ""}, headers=HTMX)
    assert "Complete the form" in wrong.content.decode()
    nameless = admin.post(url("budget_create", "acme"), sent | {"name": ""}, headers=HTMX)
    assert "It would have fired 4 times" in nameless.content.decode()
    assert not Budget.objects.exists()


def test_one_budget_shows_burn_down_spenders_periods_crossings_and_terms(
    acme, project, admin, django_assert_max_num_queries
) -> None:
    now = timezone.now()
    calls = [
        ChargeableCall(
            record_id=str(number), occurred_at=now, client_cost_usd=Decimal(usd), model=model, agent="support",
            user_id=user, provider="openai",
        )
        for number, (usd, model, user) in enumerate((("60", "gpt-5", "ada"), ("30", "gpt-5-mini", "bob")))
    ]  # fmt: skip
    record_costs(project_id=project.pk, calls=calls, now=now)
    draft = read_draft(acme.organization.pk, FORM | {"amount_usd": "100", "is_hard": True})
    made = services.create_budget(
        draft=draft, author=acme.admin.user, now=now - dt.timedelta(days=1)
    )
    with django_assert_max_num_queries(22):
        response = admin.get(url("budget_detail", "acme", made.pk))
    text = response.content.decode()
    tables = {
        one.by: [(r.label, str(r.amount.cost_usd.normalize())) for r in one.rows]
        for one in response.context["tables"]
    }
    assert tables == {
        "model": [("gpt-5", "6E+1"), ("gpt-5-mini", "3E+1")],
        "agent": [("support", "9E+1")],
        "user": [("ada", "6E+1"), ("bob", "3E+1")],
    }
    assert [one.mark for one in response.context["detail"].crossings] == [80, 50]
    assert "$90.00" in text
    assert "Burn" not in text
    assert "/projects/checkout/dashboard/?range=" in text
    assert "View as table" in text


@pytest.mark.parametrize("values", [
    {"period": "daily", "time_zone": "Asia/Kolkata"}, {"period": "weekly"}, {"rolling": True},
    {"starts_on": dt.date(2030, 1, 1)}, {"ends_on": dt.date(2020, 1, 5)}, {"is_paused": True},
    {"scope": "tag", "value": "x"}, {"scope": "model", "value": "gpt-4o"}, {"is_hard": True, "amount_usd": Decimal(1)},
])  # fmt: skip
def test_every_kind_of_budget_has_its_page(acme, project, admin, values) -> None:
    spend(project, "5", back=dt.timedelta(days=1))
    spend(project, "5")
    made = budget(acme, **values)
    response = admin.get(url("budget_detail", "acme", made.pk))
    assert response.status_code == 200
    assert ("The limit is reached" in response.content.decode()) == made.is_hard


def test_the_message_after_saving_says_nothing_of_the_pages_insides(acme, admin) -> None:
    """The page has a `detail`, and a message may have one: they are not the same."""
    page = admin.post(url("budget_create", "acme"), FORM, follow=True).content.decode()
    _, _, message = page.partition('class="toast ')
    assert "<small>" not in message.partition("data-toast-close")[0]
    assert message, "no message"


def test_pausing_and_deleting_ask_for_the_right_words(acme, admin) -> None:
    made = budget(acme, name="Old")
    assert admin.post(url("budget_pause", "acme", made.pk), {"paused": "maybe"}).status_code == 400
    admin.post(url("budget_pause", "acme", made.pk), {"paused": "1"})
    assert Budget.objects.get().is_paused
    admin.post(url("budget_deletion", "acme", made.pk), {"confirmation": "Other"})
    assert Budget.objects.exists()
    admin.post(url("budget_deletion", "acme", made.pk), {"confirmation": "Old"})
    assert not Budget.objects.exists()


def test_others_see_and_change_nothing_denied(acme, globex, client_of) -> None:
    made = budget(acme, name="Secret")
    paths = [
        url("budget_list", "acme"),
        url("budget_export", "acme"),
        url("budget_detail", "acme", made.pk),
    ]
    posts = [
        (url("budget_create", "acme"), FORM),
        (url("budget_edit", "acme", made.pk), FORM),
        (url("budget_pause", "acme", made.pk), {"paused": "1"}),
        (url("budget_deletion", "acme", made.pk), {"confirmation": "Secret"}),
    ]
    stranger, viewer = client_of(globex.owner), client_of(acme.viewer)
    for path in paths:
        assert stranger.get(path).status_code == 404
        assert viewer.get(path).status_code == 200
        assert Client().get(path).status_code == 302
    for path, data in posts:
        assert stranger.post(path, data).status_code == 404
        assert viewer.post(path, data).status_code == 403
        assert Client().post(path, data).status_code == 302
    assert stranger.get(url("budget_detail", "globex", made.pk)).status_code == 404
    found = Budget.objects.get()
    assert (found.name, found.is_paused) == ("Secret", False)


def test_the_dashboards_panel_draws_the_budget_of_all_calls(acme, project, client_of) -> None:
    viewer = client_of(acme.viewer)
    path = url("budget_panel", "checkout")
    assert "No budget counts this project" in viewer.get(path, headers=HTMX).content.decode()
    spend(project, "40")
    budget(acme, name="Ada", scope="user", value="ada", amount_usd=Decimal(1))
    budget(acme, name="All of it")
    text = viewer.get(path, headers=HTMX).content.decode()
    assert text.index("All of it") < text.index("Ada")
    assert "$60.00" in text
    assert viewer.get(path)["Location"] == url("budget_list", "acme")
