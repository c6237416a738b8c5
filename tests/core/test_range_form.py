"""The range picker in the reader's zone: its local times become one address in UTC; charts say whose days they draw."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from core.person_formats import reader, reading_as
from core.ranges import parse_range, utc_text
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.factories.traces import TraceFactory
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans

LIST = "/projects/shop/traces/"
BERLIN = reader("", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-01T00:00", "Europe/Berlin", "2026-10-31T23:00Z"),
        ("2026-07-01T00:00", "Europe/Berlin", "2026-06-30T22:00Z"),
        ("2026-11-01T00:00", "Asia/Kolkata", "2026-10-31T18:30Z"),
        ("2026-11-01", "America/New_York", "2026-11-01T04:00Z"),
        ("2026-11-01T00:00Z", "Asia/Tokyo", "2026-11-01T00:00Z"),
        # The hour that a clock skips, and the one it shows twice: the first of them.
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30Z"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30Z"),
        ("0001-01-01T00:00", "Asia/Tokyo", "0001-01-01T00:00"),
        ("yesterday", "Asia/Tokyo", "yesterday"),
    ],
)
def test_local_times_become_instants(text: str, zone: str, expected: str) -> None:
    found = reader("", zone).zone
    assert found is not None
    assert utc_text(text, found) == expected


@pytest.mark.parametrize(
    ("text", "plain", "berlin"),
    [
        ("2026-11-01T00:00Z..2026-11-21T00:00Z", "Nov 1 – 20, 2026", "Nov 1 – 20, 2026"),
        ("2026-10-31T23:00Z..2026-11-20T23:00Z", "Oct 31 – Nov 20, 2026", "Nov 1 – 20, 2026"),
        ("2026-10-31T23:00Z..2026-11-01T23:00Z", "Oct 31, 23:00 – Nov 1, 23:00 UTC", "Nov 1, 2026"),
        ("2026-11-01T12:00Z..2026-11-01T14:00Z", "Nov 1, 12:00 – 14:00 UTC", "Nov 1, 13:00 – 15:00 CET"),
    ],
)  # fmt: skip
def test_a_span_in_the_readers_words(text: str, plain: str, berlin: str) -> None:
    period = parse_range(text, now=dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    assert period.span_label == plain
    with reading_as(lambda: BERLIN):
        assert period.span_label == berlin


@pytest.fixture
def client(acme: SimpleNamespace, client_of: Any) -> Any:
    project = ProjectFactory(organization=acme.organization, slug="shop")
    at = dt.datetime(2026, 10, 31, 23, 30, tzinfo=dt.UTC)
    TraceFactory(project=project, trace_id="early", name="half past midnight", started_at=at)
    return client_of(acme.viewer)


def _choose(user: Any, zone: str) -> None:
    User.objects.filter(pk=user.pk).update(time_zone=zone)


@pytest.mark.django_db
def test_the_picker_speaks_the_chosen_zone(client: Any, acme: SimpleNamespace) -> None:
    _choose(acme.viewer.user, "Europe/Berlin")
    form = {"start": "2026-11-01T00:00", "end": "2026-11-02T00:00", "zone": "Europe/Berlin"}
    answer = client.get(LIST, {**form, "q": "midnight", "status": "ok"})
    assert answer.status_code == 302
    wanted = "q=midnight&status=ok&range=2026-10-31T23%3A00Z..2026-11-01T23%3A00Z"
    assert answer["Location"] == f"{LIST}?{wanted}"
    page = client.get(answer["Location"]).content.decode()
    assert "half past midnight" in page
    assert "From (Europe/Berlin)" in page
    assert 'name="start" value="2026-11-01T00:00"' in page
    assert 'name="end" value="2026-11-02T00:00"' in page
    project, now = Project.objects.get(slug="shop"), timezone.now()
    write_spans(context_for(project), [llm("call", trace_id="t", started_at=now)], now=now)
    dashboard = client.get(f"/projects/shop/dashboard/?{wanted.split('&')[-1]}").content.decode()
    assert 'name="zone" value="Europe/Berlin"' in dashboard
    assert 'name="start" value="2026-11-01T00:00"' in dashboard


@pytest.mark.django_db
def test_without_a_zone_it_is_utc(client: Any, acme: SimpleNamespace) -> None:
    page = client.get(f"{LIST}?range=2026-10-31T23:00Z..2026-11-01T23:00Z").content.decode()
    assert "From (UTC)" in page
    assert 'name="start" value="2026-10-31T23:00"' in page
    form = {"start": "2026-11-01T00:00", "end": "2026-11-02T00:00"}
    for zone in ("UTC", "Mars/Olympus", "../etc/passwd"):
        answer = client.get(LIST, {**form, "zone": zone})
        wanted = f"{LIST}?range=2026-11-01T00%3A00Z..2026-11-02T00%3A00Z"
        assert answer["Location"] == wanted
    # The two fields alone are UTC for everybody, as for programs.
    _choose(acme.viewer.user, "Europe/Berlin")
    assert "half past midnight" not in client.get(LIST, form).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"start": "2026-11-02T00:00", "end": "2026-11-01T00:00"}, "must be after the start"),
        ({"start": "soon", "end": "2026-11-01T00:00"}, "must be a date or date-time"),
        ({"start": "\x00", "end": "2026-11-01T00:00"}, "must be a date or date-time"),
    ],
)
def test_what_is_no_range_is_said_on_the_page(
    client: Any, form: dict[str, str], words: str
) -> None:
    answer = client.get(LIST, {**form, "zone": "Europe/Berlin"}, follow=True)
    assert answer.status_code == 200
    assert words in answer.content.decode()


@pytest.mark.django_db
def test_charts_say_that_their_bars_are_utc(client: Any, acme: SimpleNamespace) -> None:
    panel = f"{LIST}?range=2026-10-31T00:00Z..2026-11-02T00:00Z&counts=1"
    words = "times in UTC"
    for zone, is_said in (("", True), ("Europe/Berlin", True), ("UTC", False)):
        _choose(acme.viewer.user, zone)
        assert (words in client.get(panel).content.decode()) == is_said
