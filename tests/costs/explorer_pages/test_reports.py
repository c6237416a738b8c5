"""Saved reports: who sees them, who changes them, what is refused."""

from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from django.test import Client

from accounts.models import AuditEvent
from costs.models import CostReport, ReportRecipient, ReportSchedule
from tests.costs.explorer_pages.conftest import RANGE
from tests.factories.accounts import MembershipFactory
from tests.factories.reports import CostReportFactory, ReportRecipientFactory

pytestmark = pytest.mark.django_db


def logged_in(membership) -> Client:
    client = Client()
    client.force_login(membership.user)
    return client


def schedule_data(*people, **more) -> dict:
    return {
        "frequency": "weekly", "weekday": "0", "month_day": "1", "hour": "8", "time_zone": "Europe/Berlin",
        "covers": "before", "is_active": "on", "recipients": [str(one.user_id) for one in people], **more,
    }  # fmt: skip


def test_the_question_of_the_page_is_saved_opened_and_found(place: SimpleNamespace) -> None:
    new = f"{place.url}reports/new/?range={RANGE}&by=model&by=user&user=ada"
    assert "Cost by model and user, by chosen user" in place.member.get(new).content.decode()
    saved = place.member.post(new, {"name": "Ada's models"})
    report = CostReport.objects.get()
    assert saved.headers["Location"] == f"{place.url}reports/{report.pk}/"
    assert parse_qs(report.query)["by"] == ["model", "user"]
    assert parse_qs(report.query)["user"] == ["ada"]
    listed = place.member.get(f"{place.url}reports/", {"q": "MODELS"}).content.decode()
    assert f'href="{place.url}?{report.query}"'.replace("&", "&amp;") in listed
    assert place.member.get(f"{place.url}?{report.query}").status_code == 200
    assert AuditEvent.objects.filter(action="costs.report.created").count() == 1


def test_a_name_is_taken_once_and_replaced_on_demand(place: SimpleNamespace) -> None:
    new = f"{place.url}reports/new/?by=model&compare=none"
    place.member.post(new, {"name": "Spend"})
    refused = place.member.post(f"{place.url}reports/new/?by=user&compare=none", {"name": "SPEND"})
    assert refused.status_code == 422
    assert "another report of that name" in refused.content.decode()
    place.member.post(
        f"{place.url}reports/new/?by=user&compare=none", {"name": "SPEND", "replaces": "on"}
    )
    assert CostReport.objects.get().query == "by=user&compare=none"


def test_a_report_is_its_authors_until_it_is_shared(place: SimpleNamespace) -> None:
    report = CostReportFactory.create(
        organization=place.organization, author=place.acme.member.user, name="Quiet"
    )
    page, edit = f"{place.url}reports/", f"{place.url}reports/{report.pk}/"
    assert "Quiet" not in place.viewer.get(page).content.decode()
    assert logged_in(place.acme.admin).get(edit).status_code == 404
    place.member.post(edit, {"name": "Loud", "is_shared": "on"})
    assert "Loud" in place.viewer.get(page).content.decode()
    assert place.viewer.post(edit, {"name": "Mine"}).status_code == 403
    colleague = MembershipFactory(organization=place.organization)
    assert logged_in(colleague).post(edit, {"name": "Mine"}).status_code == 403
    assert logged_in(colleague).post(f"{edit}deletion/").status_code == 403
    report.refresh_from_db()
    assert report.name == "Loud"
    assert logged_in(place.acme.admin).post(f"{edit}deletion/").status_code == 302
    assert not CostReport.objects.exists()


def test_other_tenants_find_nothing(place: SimpleNamespace, globex: SimpleNamespace) -> None:
    report = CostReportFactory.create(organization=place.organization, is_shared=True)
    stranger = logged_in(globex.owner)
    for path in ("", "schedule/", "sending/", "deletion/"):
        assert stranger.post(f"{place.url}reports/{report.pk}/{path}").status_code == 404
        foreign = f"/organizations/globex/costs/reports/{report.pk}/{path}"
        assert stranger.post(foreign).status_code == 404
    assert CostReport.objects.count() == 1


def test_a_schedule_takes_members_only(place: SimpleNamespace, globex: SimpleNamespace) -> None:
    author, viewer = place.acme.member, place.acme.viewer
    report = CostReportFactory.create(organization=place.organization, author=author.user)
    url = f"{place.url}reports/{report.pk}/schedule/"
    refused = place.member.post(url, schedule_data(author, globex.owner))
    assert refused.status_code == 422
    assert not ReportSchedule.objects.exists()
    assert place.member.post(url, schedule_data(author, viewer)).status_code == 302
    schedule = ReportSchedule.objects.get()
    assert schedule.next_run_at.weekday() == 0
    assert {one.user_id for one in schedule.recipients.all()} == {author.user_id, viewer.user_id}
    page = place.member.get(f"{place.url}reports/{report.pk}/").content.decode()
    assert "Mondays at 08:00 (Europe/Berlin)" in page
    place.member.post(url, {"stop": "1"})
    assert not ReportSchedule.objects.exists()


def test_whoever_unsubscribed_is_not_added_again(place: SimpleNamespace) -> None:
    author, viewer = place.acme.member, place.acme.viewer
    report = CostReportFactory.create(organization=place.organization, author=author.user)
    url = f"{place.url}reports/{report.pk}/schedule/"
    place.member.post(url, schedule_data(author, viewer))
    ReportRecipient.objects.filter(user=viewer.user).update(unsubscribed_at="2026-11-01T00:00Z")
    place.member.post(url, schedule_data(author))
    place.member.post(url, schedule_data(author, viewer))
    assert ReportRecipient.objects.get(user=viewer.user).unsubscribed_at is not None


@pytest.mark.parametrize(
    ("field", "value"), [("hour", "24"), ("month_day", "31"), ("time_zone", "Mars"), ("weekday", "7")]
)  # fmt: skip
def test_bad_times_are_named(place: SimpleNamespace, field: str, value: str) -> None:
    report = CostReportFactory.create(
        organization=place.organization, author=place.acme.member.user
    )
    data = schedule_data(place.acme.member) | {field: value}
    answer = place.member.post(f"{place.url}reports/{report.pk}/schedule/", data)
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in answer.content.decode()


def test_the_list_is_cut_into_pages(
    place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries
) -> None:
    author = place.acme.member.user
    for number in range(60):
        report = CostReportFactory.create(
            organization=place.organization, author=author, name=f"R{number:02}"
        )
        ReportRecipientFactory.create(schedule__report=report, user=author)
    with django_assert_max_num_queries(8):
        first = place.member.get(f"{place.url}reports/").content.decode()
    assert "R49" in first
    assert "R50" not in first
    after = first.partition("?after=")[2].partition('"')[0]
    second = place.member.get(f"{place.url}reports/?after={after}").content.decode()
    assert "R50" in second
    assert "R49" not in second
    assert place.member.get(f"{place.url}reports/?after=x").status_code == 400
    export = place.member.get(f"{place.url}reports/export.csv").content.decode()
    assert export.count("\r\n") == 61
