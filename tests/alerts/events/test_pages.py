"""The pages of incidents: firing now, the history, one incident."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts.events.details import cause_url
from alerts.measures.base import Cause
from alerts.models import AlertEvent, EventEntry
from tests.factories.alerts import AlertEventFactory, AlertFactory, ChannelFactory, DeliveryFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
HOUR = dt.timedelta(hours=1)


def url(name: str, *args: Any, **query: Any) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"alerts:{name}", args=args) + (f"?{text}" if text else "")


@pytest.fixture
def viewer(acme: Any, client_of: Any) -> Client:
    return client_of(acme.viewer)


def incident(acme: Any, **values: Any) -> AlertEvent:
    return AlertEventFactory.create(organization=acme.organization, **values)


def titles(response: Any) -> list[str]:
    return [row.title for row in response.context["rows"]]


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return response.content.decode()


def test_what_nobody_has_taken_comes_first_then_the_worst(acme, viewer) -> None:
    incident(acme, title="Acknowledged", severity="critical", state="acknowledged")
    incident(acme, title="Warning", severity="warning")
    incident(acme, title="Critical", severity="critical")
    incident(acme, title="Snoozed", severity="info", state="snoozed")
    incident(acme, title="Over", state="resolved", resolved_at=timezone.now())
    response = viewer.get(url("firing", "acme"))
    assert titles(response) == ["Critical", "Warning", "Acknowledged", "Snoozed"]
    text = text_of(response)
    assert "4 open" in text
    assert "2 that nobody has taken" in text
    assert "until it resolves" in text
    assert 'name="only"' not in text  # a viewer only looks
    for query, found in (
        ({"state": "acknowledged"}, ["Acknowledged"]),
        ({"severity": "critical", "sort": "fired"}, ["Acknowledged", "Critical"]),
        ({"q": "warn"}, ["Warning"]),
    ):
        assert titles(viewer.get(url("firing", "acme", **query), headers=HTMX)) == found
    assert "No open incident matches" in text_of(viewer.get(url("firing", "acme", q="zzz")))


def test_what_fires_is_paged_and_a_page_that_asks_again_stays_where_it_is(acme, viewer) -> None:
    for number in range(51):
        incident(acme, title=f"I{number:02}")
    after = viewer.get(url("firing", "acme", sort="title")).context["after"]
    second = viewer.get(url("firing", "acme", sort="title", after=after))
    assert titles(second) == ["I50"]
    assert f'id="firing-after" name="after" value="{after}"' in text_of(second)
    assert viewer.get(url("firing", "acme", sort="fired", after=after)).status_code == 400


def test_when_all_is_well_the_page_says_since_when_and_who_watches(acme, viewer) -> None:
    assert "Nobody watches yet" in text_of(viewer.get(url("firing", "acme")))
    AlertFactory.create(organization=acme.organization)
    AlertFactory.create(organization=acme.organization, is_enabled=False)
    at = dt.datetime(2026, 11, 3, 4, 5, 6, tzinfo=dt.UTC)
    incident(acme, state="resolved", resolved_at=at)
    incident(acme, state="resolved", resolved_at=at - HOUR)
    text = text_of(viewer.get(url("firing", "acme")))
    assert "All is well" in text
    assert "1 rule watches." in text
    assert "2026-11-03 04:05:06 UTC" in text


def test_the_history_filters_sorts_pages_draws_and_exports(acme, viewer) -> None:
    now = timezone.now()
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    rule = AlertFactory.create(organization=acme.organization, name="Latency of checkout")
    for number in range(51):
        incident(acme, title=f"I{number:02}", fired_at=now - number * dt.timedelta(minutes=1))
    wanted = incident(
        acme, title="=Z", severity="critical", kind="latency", alert=rule, project=project,
        state="resolved", resolved_at=now, fired_at=now - HOUR,
    )  # fmt: skip
    incident(acme, title="Old", fired_at=now - dt.timedelta(days=40))
    first = viewer.get(url("history", "acme"))
    assert (len(titles(first)), titles(first)[0]) == (50, "I00")
    rest = viewer.get(url("history", "acme", after=first.context["after"]))
    assert titles(rest) == ["I50", "=Z"]
    assert "52 incidents in this time" in text_of(first)
    for query in (
        {"state": "resolved"}, {"severity": "critical"}, {"kind": "latency"}, {"rule": rule.pk},
        {"project": project.pk}, {"q": "%3DZ"}, {"sort": "-severity", "severity": "critical"},
    ):  # fmt: skip
        assert titles(viewer.get(url("history", "acme", **query))) == ["=Z"], query
    assert titles(viewer.get(url("history", "acme", sort="-severity")))[0] == "=Z"
    assert titles(viewer.get(url("history", "acme", sort="-title")))[0] == "I50"
    assert "Old" in titles(viewer.get(url("history", "acme", range="90d", sort="fired")))
    export = viewer.get(url("history_export", "acme", severity="critical"))
    lines = b"".join(export.streaming_content).decode().splitlines()
    assert len(lines) == 2
    assert str(wanted.pk) in lines[1]
    assert ",'=Z," in lines[1]  # no formula in a spreadsheet
    for query in (
        {"state": "x"}, {"severity": "x"}, {"kind": "x"}, {"rule": "x"}, {"project": "x"}, {"range": "x"},
        {"sort": "x"}, {"after": "x"}, {"q": "%00"}, {"q": "a" * 201},
    ):  # fmt: skip
        assert viewer.get(url("history", "acme", **query)).status_code == 400, query


@pytest.mark.parametrize("name", ["firing", "history", "maintenance_list"])
def test_lists_cost_the_same_however_long(
    acme, viewer, django_assert_max_num_queries, name
) -> None:
    viewer.get(url(name, "acme"))
    project = ProjectFactory(organization=acme.organization)
    for number in range(50):
        rule = AlertFactory.create(organization=acme.organization, project=project)
        incident(
            acme, alert=rule, project=project, state="acknowledged", title=str(number),
            acknowledged_by=acme.member.user, acknowledged_at=timezone.now(),
        )  # fmt: skip
    with django_assert_max_num_queries(14):
        viewer.get(url(name, "acme"))


def test_one_incident_says_everything(acme, viewer) -> None:
    now = timezone.now()
    rule = AlertFactory.create(
        organization=acme.organization,
        name="Errors",
        note="Read https://wiki.example/runbook first.",
        levels=[{"limit": "5", "severity": "warning"}, {"limit": "20", "severity": "critical"}],
    )
    points = [
        {"at": (now - n * HOUR / 4).isoformat(), "value": None if n == 3 else str(7 - n)}
        for n in range(6, -1, -1)
    ]
    event = incident(
        acme,
        alert=rule,
        evidence={
            "rows": [["Failed", "30 of 400"]],
            "points": points,
            "causes": [
                {"dimension": "model", "value": "gpt-5&x", "words": "20 of 30", "share": "0.667"},
                {"dimension": "weather", "value": "rain", "words": "10 of 30", "share": None},
            ],
            "url": "/projects/checkout/traces/?range=24h&model=all",
            "url_label": "See the failed calls",
        },
    )
    before = incident(acme, alert=rule, title="Before", fired_at=now - HOUR)
    EventEntry.objects.create(
        event=event, at=now, kind="snoozed", words=f"Until {now.isoformat()}."
    )
    EventEntry.objects.create(
        event=event, at=now, kind="comment", words="<b>On it</b>", actor=acme.member.user
    )
    channel = ChannelFactory.create(organization=acme.organization, name="On call")
    DeliveryFactory.create(
        event=event, channel=channel, state="dead", attempts=2, error="410 Gone",
        tries=[{"at": now.isoformat(), "status": 410, "ms": 12, "error": "Gone"}],
    )  # fmt: skip
    text = text_of(viewer.get(url("event_detail", "acme", event.pk)))
    for said in (
        "7.5 % of 400 calls", "2.5 points over",
        "https://wiki.example/runbook", "30 of 400", "Limit 5.0%", "Critical 20.0%",
        "/projects/checkout/traces/?range=24h&amp;model=gpt-5%26x", "See the failed calls",
        "rain", "&lt;b&gt;On it&lt;/b&gt;", "410 Gone", "Given up", "2 tries", "On call",
        url("event_detail", "acme", before.pk), f"{now:%Y-%m-%d %H:%M:%S} UTC",
    ):  # fmt: skip
        assert said in text, said
    assert "Acknowledge</button>" not in text  # a viewer only looks
    assert "<html" not in text_of(viewer.get(url("event_detail", "acme", event.pk), headers=HTMX))


def test_a_cause_leads_only_where_its_calls_can_be_shown() -> None:
    traces = "/projects/checkout/traces/?range=24h&user=ada"
    for url_, dimension, value, found in (
        (traces, "model", "a/b&c", "/projects/checkout/traces/?range=24h&user=ada&model=a%2Fb%26c"),
        (traces, "user", "bob", "/projects/checkout/traces/?range=24h&user=bob"),
        (traces, "user", "no user", ""),
        (traces, "cause", "Tiers", ""),
        ("/organizations/acme/budgets/1/", "model", "gpt-5", ""),
        ("", "model", "gpt-5", ""),
    ):
        assert cause_url(url_, Cause(dimension, value, "")) == found


@pytest.mark.parametrize(
    "evidence",
    [
        {}, [], None, {"points": "x", "rows": [1], "causes": [None, {}], "url": "//evil.example"},
        {"points": [["x", "y"], {"at": "2026-11-01", "value": "NaN"}], "url": "https://evil.example"},
        {"points": [["2026-11-01T00:00:00Z", "1"], ["2026-11-01T01:00:00Z", "2"]], "url": 5},
    ],
)  # fmt: skip
def test_an_incident_opens_whatever_its_evidence_says(acme, viewer, evidence) -> None:
    event = incident(acme, evidence=evidence or {}, value=None, limit=None, unit="")
    AlertEvent.objects.filter(pk=event.pk).update(evidence=evidence or {})
    text = text_of(viewer.get(url("event_detail", "acme", event.pk)))
    assert "evil.example" not in text


def test_an_incident_costs_the_same_whatever_was_done_about_it(
    acme, viewer, django_assert_max_num_queries
) -> None:
    rule = AlertFactory.create(organization=acme.organization)
    event = incident(acme, alert=rule, value=Decimal("7.5"))
    channel = ChannelFactory.create(organization=acme.organization)
    viewer.get(url("event_detail", "acme", event.pk))
    for number in range(50):
        EventEntry.objects.create(
            event=event,
            at=timezone.now(),
            kind="comment",
            actor=acme.member.user,
            words=f"{number}",
        )
        DeliveryFactory.create(event=event, channel=channel)
        incident(acme, alert=rule, fired_at=event.fired_at - HOUR)
    with django_assert_max_num_queries(14):
        viewer.get(url("event_detail", "acme", event.pk))


def test_another_organisation_has_no_such_incident(acme, globex, client_of, viewer) -> None:
    event = AlertEventFactory.create(organization=globex.organization, title="Secret of Globex")
    for name in ("event_detail", "event_acknowledge", "event_snooze"):
        assert viewer.get(url(name, "acme", event.pk)).status_code == 404
        assert viewer.get(url(name, "globex", event.pk)).status_code == 404
    for name in ("firing", "history"):
        assert "Secret of Globex" not in text_of(viewer.get(url(name, "acme")))
    login = Client().get(url("event_detail", "acme", event.pk))["Location"]
    assert login.startswith("/accounts/login/?next=")


def test_home_leads_to_what_fires(acme, viewer) -> None:
    assert viewer.get("/alerts/")["Location"] == url("firing", "acme")
