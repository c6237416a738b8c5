"""Maintenance windows: the list, the form, ending, deleting, and what is quiet now."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from alerts.events import maintenance_services as services
from alerts.models import Maintenance
from tests.factories.alerts import MaintenanceFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
FORM = {
    "name": "Upgrade", "project": "", "starts_at": "2030-03-30T22:30", "ends_at": "2030-03-31T04:00",
    "time_zone": "Europe/Berlin", "repeats": "daily",
}  # fmt: skip


def url(name: str, *args: Any, **query: Any) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"alerts:maintenance_{name}", args=args) + (f"?{text}" if text else "")


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


def window(acme: Any, **values: Any) -> Maintenance:
    return MaintenanceFactory.create(organization=acme.organization, **values)


def names(response: Any) -> list[str]:
    return [row.window.name for row in response.context["rows"]]


def test_a_window_is_wall_clock_of_its_zone(acme, admin) -> None:
    assert admin.post(url("create", "acme"), FORM)["Location"] == url("list", "acme")
    made = Maintenance.objects.get()
    # The night in which the clocks of Berlin go forward.
    assert made.starts_at == dt.datetime(2030, 3, 30, 21, 30, tzinfo=dt.UTC)
    assert made.ends_at == dt.datetime(2030, 3, 31, 2, 0, tzinfo=dt.UTC)
    assert (made.repeats, made.author, made.project) == ("daily", acme.admin.user, None)
    form = admin.get(url("edit", "acme", made.pk)).context["form"]
    assert {name: form[name].value() for name in FORM} == FORM
    assert "2 windows" not in admin.get(url("list", "acme")).content.decode()
    admin.post(url("edit", "acme", made.pk), FORM | {"name": "Other"})
    made.refresh_from_db()
    assert made.name == "Other"
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["alerts.maintenance.created", "alerts.maintenance.changed"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"ends_at": "2030-03-30T22:30"}, "ends_at"),
        ({"ends_at": "2030-04-01T22:30"}, "ends_at"),  # longer than the day it repeats by
        ({"starts_at": "2020-01-01T00:00", "ends_at": "2020-01-01T01:00", "repeats": "never"}, "ends_at"),
        ({"ends_at": "9999-12-31T23:59", "repeats": "never"}, "ends_at"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"repeats": "hourly"}, "repeats"),
        ({"project": "00000000-0000-0000-0000-000000000000"}, "project"),
    ],
)  # fmt: skip
def test_a_window_that_cannot_be_is_refused_at_its_field(acme, admin, wrong, field) -> None:
    response = admin.post(url("create", "acme"), FORM | wrong)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not Maintenance.objects.exists()


def test_a_new_form_offers_the_next_hours_of_the_persons_zone(acme, admin) -> None:
    acme.admin.user.time_zone = "Asia/Tokyo"
    acme.admin.user.save()
    before = timezone.now()
    form = admin.get(url("create", "acme")).context["form"]
    start = dt.datetime.fromisoformat(form["starts_at"].value())
    assert form["time_zone"].value() == "Asia/Tokyo"
    assert start.minute == 0
    assert before < start.replace(tzinfo=dt.timezone(9 * HOUR)) <= timezone.now() + HOUR


def test_what_runs_is_said_on_every_alert_page_until_it_is_ended(acme, admin) -> None:
    now = timezone.now()
    once = window(acme, name="Once", starts_at=now - HOUR, ends_at=now + HOUR)
    daily = window(
        acme, name="Nightly", starts_at=now - 3 * DAY - HOUR, ends_at=now - 3 * DAY + HOUR, repeats="daily"
    )  # fmt: skip
    window(acme, name="Later", starts_at=now + HOUR, ends_at=now + 2 * HOUR)
    text = admin.get(reverse("alerts:history", args=["acme"])).content.decode()
    assert all(said in text for said in ("Quiet now.", "Once", "Nightly", "any project"))
    assert "Later" not in text
    for one in (once, daily):
        admin.post(url("end", "acme", one.pk))
    once.refresh_from_db()
    daily.refresh_from_db()
    assert once.ends_at <= timezone.now()
    assert daily.starts_at > timezone.now() + 22 * HOUR  # tomorrow's turn
    assert "Quiet now." not in admin.get(url("list", "acme")).content.decode()
    again = admin.post(url("end", "acme", daily.pk), follow=True).content.decode()
    assert "does not run now" in again


def test_windows_are_listed_by_their_next_turn_filtered_paged_and_exported(acme, admin) -> None:
    now = timezone.now()
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    for number in range(51):
        start = now + (number + 2) * HOUR
        window(acme, name=f"W{number:02}", starts_at=start, ends_at=start + HOUR)
    window(acme, name="Running", starts_at=now - HOUR, ends_at=now + HOUR, project=project)
    window(acme, name="=Over", starts_at=now - 2 * HOUR, ends_at=now - HOUR)
    begun = now - 7 * DAY + HOUR
    window(acme, name="Weekly", starts_at=begun, ends_at=begun + HOUR, repeats="weekly")
    first = admin.get(url("list", "acme"))
    assert names(first)[:3] == ["Running", "Weekly", "W00"]
    assert names(admin.get(url("list", "acme", after=first.context["after"]))) == ["W48", "W49", "W50"]  # fmt: skip
    for query, found in (
        ({"state": "running"}, ["Running"]), ({"state": "over"}, ["=Over"]), ({"q": "week"}, ["Weekly"]),
        ({"project": project.pk}, ["Running"]),
    ):  # fmt: skip
        assert names(admin.get(url("list", "acme", **query))) == found, query
    assert names(admin.get(url("list", "acme", sort="-starts")))[0] == "W50"
    assert names(admin.get(url("list", "acme", sort="name")))[0] == "Running"
    export = admin.get(url("export", "acme", state="over")).content.decode()
    assert ",'=Over," in export
    for query in ({"state": "x"}, {"sort": "x"}, {"project": "x"}, {"after": "x"}, {"q": "%00"}):
        assert admin.get(url("list", "acme", **query)).status_code == 400, query


def test_an_organisation_has_so_many_windows_at_most(acme, admin, monkeypatch) -> None:
    monkeypatch.setattr(services, "MAX_WINDOWS", 1)
    window(acme, starts_at=timezone.now() - 2 * DAY, ends_at=timezone.now() - DAY)  # is over
    admin.post(url("create", "acme"), FORM)
    refused = admin.post(url("create", "acme"), FORM)
    assert refused.status_code == 422
    assert "the most there can be" in refused.content.decode()
    assert Maintenance.objects.count() == 2


def test_only_admins_change_windows_and_only_their_own(acme, globex, admin, client_of) -> None:
    now = timezone.now()
    mine = window(acme, starts_at=now - HOUR, ends_at=now + HOUR)
    foreign = MaintenanceFactory.create(organization=globex.organization, name="Secret")
    member = client_of(acme.member)
    assert "Secret" not in member.get(url("list", "acme")).content.decode()
    assert "End now" not in member.get(url("list", "acme")).content.decode()
    for name in ("edit", "end", "deletion"):
        assert member.post(url(name, "acme", mine.pk), FORM).status_code == 403
        assert admin.post(url(name, "acme", foreign.pk), FORM).status_code == 404
        assert admin.post(url(name, "globex", foreign.pk), FORM).status_code == 404
    assert member.post(url("create", "acme"), FORM).status_code == 403
    assert Maintenance.objects.count() == 2
    admin.post(url("deletion", "acme", mine.pk))
    assert list(Maintenance.objects.all()) == [foreign]
