"""The pages and API of limits: list, making and trying one, how far it is; and what others may not."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditEvent
from costs.models import CostDailyAggregate
from gateway.models import Limit, LimitCounter
from gateway.quotas import selectors
from gateway.quotas.windows import window_start
from tests.factories.gateway import LimitFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
ROOT = "/organizations/acme/gateway/limits/"
API = "/api/v1/organizations/acme/gateway/limits"
JSON = "application/json"
FORM = {
    "name": "Users",
    "scope": "user",
    "metric": "usd",
    "amount": "2.50",
    "window": "day",
    "kind": "hard",
}


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


def use(limit: Limit, subject: str, used: Any, reserved: Any = 0) -> None:
    LimitCounter.objects.create(
        organization=limit.organization,
        key=f"{limit.pk.hex}:{subject}",
        window_start=window_start(limit.window, timezone.now()),
        used=used,
        reserved=reserved,
    )


def test_an_empty_list_says_what_to_do(
    admin: Client, acme: SimpleNamespace, client_of: Any
) -> None:
    page = admin.get(ROOT).content
    assert b"New limit" in page
    assert b'aria-current="page">Limits</a>' in page
    seen = client_of(acme.viewer).get(ROOT).content
    assert b"No limits yet" in seen
    assert b"limits/new/" not in seen


def test_the_list_filters_sorts_pages_and_exports(admin: Client, acme: SimpleNamespace) -> None:
    of = {"organization": acme.organization}
    each = LimitFactory.create(**of, name="Each user", scope="user", amount=10)
    use(each, "ann", 3, 1)
    use(each, "bob", 9)
    LimitFactory.create(**of, name="=Money", scope="organization", metric="usd", window="month")
    LimitFactory.create(**of, name="Tag", scope="tag", value="batch", is_hard=False, is_paused=True)
    LimitFactory.create()
    for query, count in (
        ({"q": "batch"}, 1), ({"q": "user"}, 1), ({"scope": "user"}, 1), ({"metric": "usd"}, 1),
        ({"state": "warning"}, 1), ({"state": "full"}, 0), ({"state": "paused"}, 1), ({"state": "soft"}, 1), ({}, 3),
    ):  # fmt: skip
        assert admin.get(ROOT, query).content.count(b"data-row-link") == count, query
    names = [row.limit.name for row in admin.get(ROOT, {"sort": "-used"}).context["rows"]]
    assert names[0] == "Each user"
    for bad in ({"scope": "x"}, {"sort": "x"}, {"q": "x" * 300}, {"after": "x"}, {"q": "\x00"}):
        assert admin.get(ROOT, bad).status_code == 400
    lines = admin.get(f"{ROOT}export.csv").content.decode().splitlines()
    assert "bob" in next(line for line in lines if line.startswith("Each user"))
    assert any(line.startswith("'=Money") for line in lines)
    now, asked = timezone.now(), selectors.Asked(sort="-name")
    first, after = selectors.listed(acme.organization.pk, asked, now=now, limit=2)
    rest, end = selectors.listed(
        acme.organization.pk, selectors.Asked(sort="-name", after=after), now=now, limit=2
    )
    assert [row.limit.name for row in [*first, *rest]] == ["Tag", "Each user", "=Money"]
    assert end == ""


def test_the_list_asks_as_often_for_one_as_for_many(
    acme: SimpleNamespace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    project = ProjectFactory.create(organization=acme.organization)
    key = ApiKeyFactory.create(project=project, name="Robot")
    for number in range(12):
        limit = LimitFactory.create(
            organization=acme.organization, scope=("key", "project")[number % 2]
        )
        use(limit, (key.pk if number % 2 == 0 else project.pk).hex, number + 1)
    with django_assert_num_queries(4):
        rows, _ = selectors.listed(acme.organization.pk, selectors.Asked(), now=timezone.now())
    assert {row.top.label for row in rows} == {"Robot", project.name}


def test_one_is_made_shown_changed_paused_and_deleted(admin: Client, acme: SimpleNamespace) -> None:
    assert admin.post(f"{ROOT}new/", FORM).status_code == 302
    one = Limit.objects.get()
    assert (one.amount, one.value, one.is_hard, one.window) == (Decimal("2.5"), "", True, "day")
    use(one, "ann", "1.25", "0.5")
    answer = admin.get(f"{ROOT}{one.pk}/")
    page = answer.content.decode()
    assert "Each user on its own" in page
    assert "ann" in page
    assert answer.context["row"].top.share == Decimal("0.7")
    changed = admin.post(f"{ROOT}{one.pk}/edit/", {"name": "All", "amount": "3", "kind": "soft"})
    assert changed.status_code == 302
    admin.post(f"{ROOT}{one.pk}/pause/", {"paused": "1"})
    one.refresh_from_db()
    assert (one.name, one.amount, one.is_hard, one.is_paused) == ("All", 3, False, True)
    admin.post(f"{ROOT}{one.pk}/deletion/", {"confirmation": "Al"})
    assert Limit.objects.exists()
    admin.post(f"{ROOT}{one.pk}/deletion/", {"confirmation": "All"})
    assert not Limit.objects.exists()
    actions = list(AuditEvent.objects.order_by("created_at").values_list("action", flat=True))
    assert [one.rpartition(".")[2] for one in actions] == ["created", "changed", "changed", "deleted"]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"amount": "0"}, "must be above 0"),
        ({"amount": "1.5", "metric": "requests"}, "whole numbers"),
        ({"amount": "x"}, "number"),
        ({"amount": "NaN"}, "number"),
        ({"window": ""}, "window is"),
        ({"name": ""}, "required"),
        ({"scope": "organization", "value": "x"}, "must be empty"),
        ({"scope": "planet"}, "valid choice"),
        ({"project": "x"}, "valid choice"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    admin: Client, wrong: dict[str, str], says: str
) -> None:
    answer = admin.post(f"{ROOT}new/", FORM | wrong)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not Limit.objects.exists()


def test_a_draft_is_tried_on_the_last_30_days(admin: Client, acme: SimpleNamespace) -> None:
    project = ProjectFactory.create(organization=acme.organization)
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for user, cost in (("ann", "3"), ("ann", "1"), ("bob", "2")):
        today -= timezone.timedelta(days=1)
        CostDailyAggregate.objects.create(
            project=project, hour=today, dimension="user", value=user, cost_usd=Decimal(cost)
        )
    answer = admin.post(f"{ROOT}new/", FORM | {"preview": "1"})
    assert answer.status_code == 200
    assert "1 of 3 days went over it in the last 30 days." in answer.content.decode()
    one = admin.post(f"{ROOT}new/", FORM | {"preview": "1", "value": "bob"}).content.decode()
    assert "Nothing would have gone over it" in one
    minute = admin.post(f"{ROOT}new/", FORM | {"preview": "1", "window": "minute"}).content
    assert b"The past cannot tell" in minute
    assert not Limit.objects.exists()


def test_the_api_from_the_first_call_to_the_last(admin: Client, acme: SimpleNamespace) -> None:
    key = ApiKeyFactory.create(project=ProjectFactory.create(organization=acme.organization))
    draft = {"name": "Key", "scope": "key", "value": str(key.pk), "metric": "concurrency", "amount": "4"}  # fmt: skip
    made = admin.post(API, draft, JSON)
    assert made.status_code == 201, made.json()
    one = f"{API}/{made.json()['id']}"
    assert (made.json()["amount"], made.json()["window"], made.json()["state"]) == ("4", "", "ok")
    use(Limit.objects.get(), key.pk.hex, 0, 4)
    told = admin.get(one).json()
    assert (told["state"], told["busiest"][0]["name"]) == ("full", key.name)
    assert told["busiest"][0]["remaining"] == "0"
    assert admin.patch(one, {"amount": "9", "is_paused": True}, JSON).json()["state"] == "paused"
    assert [row["name"] for row in admin.get(API).json()["results"]] == ["Key"]
    for bad in (
        {**draft, "name": "key"},
        {**draft, "name": "b", "value": "x"},
        {**draft, "name": "c", "amount": "1.5"},
        {**draft, "name": "d", "window": "day"},
        {**draft, "name": "e", "surprise": 1},
    ):
        answer = admin.post(API, bad, JSON)
        assert answer.status_code in (400, 409), bad
        assert answer.json()["detail"]
    assert admin.get(API, {"metric": "x"}).status_code == 400
    assert admin.delete(one).status_code == 204
    assert not Limit.objects.exists()


def test_others_are_denied(acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any) -> None:
    limit = LimitFactory.create(organization=acme.organization)
    stranger, viewer = client_of(globex.owner), client_of(acme.viewer)
    for client, status in ((stranger, 404), (viewer, 403), (Client(), 302)):
        assert client.post(f"{ROOT}{limit.pk}/pause/").status_code == status
    for client, statuses in ((stranger, {404}), (viewer, {403}), (Client(), {401, 403})):
        assert client.patch(f"{API}/{limit.pk}", {"amount": "1"}, JSON).status_code in statuses
        assert client.delete(f"{API}/{limit.pk}").status_code in statuses
    assert stranger.get(f"{ROOT}{limit.pk}/").status_code == 404
    limit.refresh_from_db()
    assert (limit.amount, limit.is_paused) == (100, False)


def test_operators_pause_limits(client: Client, django_user_model: Any) -> None:
    from tests.factories.accounts import UserFactory

    limit = LimitFactory.create()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    assert client.get("/admin/gateway/limit/").status_code == 200
    assert client.get(f"/admin/gateway/limit/{limit.pk}/change/").status_code == 200
    client.post("/admin/gateway/limit/", {"action": "pause", "_selected_action": [limit.pk]})
    limit.refresh_from_db()
    assert limit.is_paused
