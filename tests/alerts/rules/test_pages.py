"""The pages of rules: list, what to watch, form with preview, one rule, and what is done to it."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from alerts.models import Alert, AlertChannel, AlertEvent, AlertState, Channel, Delivery
from alerts.rules.starters import starters
from tests.factories.alerts import AlertEventFactory, AlertFactory, ChannelFactory
from tests.factories.budgets import BudgetFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("errors")]
HTMX = {"HX-Request": "true"}
FORM = {
    "kind": "error_rate", "name": "Errors", "level_limit": ["5", "20"], "level_severity": ["warning", "critical"],
    "direction": "above", "compare_with": "value", "window_minutes": "15", "recover_margin": "5",
    "on_no_data": "keep",
}  # fmt: skip


def url(name: str, *args: Any, **query: str) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"alerts:{name}", args=args) + (f"?{text}" if text else "")


def rule(acme: Any, name: str = "Errors", state: str = "", **values: Any) -> Alert:
    made = AlertFactory.create(organization=acme.organization, name=name, **values)
    if state:
        AlertState.objects.create(
            alert=made, status=state, value=Decimal("7.5"), since=timezone.now()
        )
    return made


def names(response: Any) -> list[str]:
    return [row.alert.name for row in response.context["rows"]]


def test_the_list_says_what_each_watches_and_where_it_stands_worst_first(acme, admin) -> None:
    rule(acme, "Fine", "ok")
    bad = rule(acme, "Bad", "firing", muted_until=timezone.now() + dt.timedelta(hours=1))
    rule(acme, "New")
    rule(acme, "Resting", "ok", is_enabled=False)
    AlertChannel.objects.create(
        alert=bad, channel=ChannelFactory.create(organization=acme.organization, name="On call")
    )
    AlertEventFactory.create(organization=acme.organization, alert=bad, state="acknowledged")
    response = admin.get(url("rule_list", "acme"))
    assert names(response) == ["Bad", "Fine", "New", "Resting"]
    text = response.content.decode()
    for words in (
        "Error rate over 15 minutes", "Acknowledged", "Muted", "On call", "7.5%",
        "Not judged yet", "Inbox only",
    ):  # fmt: skip
        assert words in text


def test_the_list_filters_sorts_pages_and_exports(acme, project, admin) -> None:
    made = Alert.objects.bulk_create(
        AlertFactory.build(organization=acme.organization, name=f"=R{number:02}", model="gpt-5")
        for number in range(52)
    )
    AlertState.objects.bulk_create(AlertState(alert=one, status="ok") for one in made)
    rule(acme, "Whole", "firing", project=project, levels=[{"limit": "9", "severity": "critical"}])
    first = admin.get(url("rule_list", "acme", sort="name", state="ok"))
    assert len(names(first)) == 50
    after = first.context["after"]
    rest = admin.get(url("rule_list", "acme", sort="name", state="ok", after=after))
    assert names(rest) == ["=R50", "=R51"]
    for query in (
        {"state": "firing"}, {"project": "checkout"}, {"severity": "critical"}, {"q": "whol"},
        {"project": str(project.pk)},
    ):  # fmt: skip
        assert names(admin.get(url("rule_list", "acme", **query), headers=HTMX)) == ["Whole"]
    assert not names(admin.get(url("rule_list", "acme", kind="budget")))
    assert len(names(admin.get(url("rule_list", "acme", q="gpt-5")))) == 50
    for sort in ("-fired", "kind", "-created"):
        page = admin.get(url("rule_list", "acme", sort=sort))
        more = admin.get(url("rule_list", "acme", sort=sort, after=page.context["after"]))
        assert len({*names(page), *names(more)}) == 53
    export = admin.get(url("rule_export", "acme", sort="name"))
    lines = b"".join(export.streaming_content).decode().splitlines()
    assert len(lines) == 54
    assert ",'=R00," in lines[1]
    for query in (
        {"state": "x"}, {"kind": "x"}, {"sort": "x"}, {"after": "x"}, {"q": "%00"}, {"channel": "x"}, {"enabled": "x"},
        {"severity": "x"},
    ):  # fmt: skip
        assert admin.get(url("rule_list", "acme", **query)).status_code == 400


def test_the_list_costs_the_same_however_many_rules(
    acme, admin, django_assert_max_num_queries
) -> None:
    for number in range(20):
        made = rule(acme, f"R{number}", "firing")
        AlertEventFactory.create(organization=acme.organization, alert=made)
    admin.get(url("rule_list", "acme"))
    with django_assert_max_num_queries(15):
        admin.get(url("rule_list", "acme"))


def test_a_saved_form_is_the_rule_and_says_who_changed_it(acme, project, admin) -> None:
    channel = ChannelFactory.create(organization=acme.organization)
    sent = FORM | {"project": str(project.pk), "channels": [str(channel.pk)], "model": "gpt-5"}
    response = admin.post(url("rule_create", "acme"), sent)
    made = Alert.objects.get()
    assert response["Location"] == url("rule_detail", "acme", made.pk)
    assert made.levels == [
        {"limit": "5", "severity": "warning"}, {"limit": "20", "severity": "critical"},
    ]  # fmt: skip
    assert (made.project, made.model, made.author) == (project, "gpt-5", acme.admin.user)
    assert list(made.channels.all()) == [channel]
    form = admin.get(url("rule_edit", "acme", made.pk)).context["form"]
    again = {name: form[name].value() or "" for name in form.fields if form[name].value() != []}
    again |= {"level_limit": ["7"], "level_severity": ["error"], "name": "Fewer errors"}
    changed = admin.post(url("rule_edit", "acme", made.pk), again)
    assert changed.status_code == 302, changed.context["form"].errors
    made.refresh_from_db()
    assert (made.name, made.levels) == ("Fewer errors", [{"limit": "7", "severity": "error"}])
    assert (made.recover_margin, made.window_minutes) == (Decimal("0.05"), 15)
    assert list(made.channels.all()) == [channel]
    text = admin.get(url("rule_detail", "acme", made.pk)).content.decode()
    assert "name, levels" in text
    again |= {"name": "Fewer errors"}
    admin.post(url("rule_edit", "acme", made.pk), again)
    assert AuditEvent.objects.filter(action__startswith="alerts.alert.").count() == 2


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "taken"}, "name"),
        ({"name": ""}, "name"),
        ({"window_minutes": "0"}, "window_minutes"),
        ({"recover_margin": "95"}, "recover_margin"),
        ({"user_id": "ada", "tag": "x"}, "tag"),
        ({"project": "x"}, "project"),
        ({"channels": ["x"]}, "channels"),
        ({"escalate_minutes": "5"}, "escalation_channels"),
        ({"level_limit": ["", ""]}, "__all__"),
        ({"level_limit": ["much", "9"]}, "__all__"),
        ({"level_limit": ["20", "5"]}, "__all__"),
    ],
)
def test_a_wrong_form_says_so_at_its_field_and_saves_nothing(acme, admin, values, field) -> None:
    rule(acme, "Taken")
    response = admin.post(url("rule_create", "acme"), FORM | values)
    assert response.status_code == 422
    assert field in response.context["form"].errors
    assert Alert.objects.count() == 1


def test_a_form_without_a_limit_is_told_so_in_a_persons_words(acme, admin) -> None:
    sent = FORM | {"level_limit": ["", " "], "preview": "1"}
    text = admin.post(url("rule_create", "acme"), sent, headers=HTMX).content.decode()
    assert "Type a limit" in text
    assert "{&quot;limit" not in text


def test_levels_are_added_and_removed_without_saving(acme, admin) -> None:
    more = admin.post(url("rule_create", "acme"), FORM | {"name": "", "add_level": "1"})
    assert more.status_code == 200
    assert more.content.decode().count('name="level_limit"') == 3
    fewer = admin.post(url("rule_create", "acme"), FORM | {"remove_level": "0"}, headers=HTMX)
    assert "<h1" not in fewer.content.decode()
    assert fewer.content.decode().count('name="level_limit"') == 1
    assert 'value="20"' in fewer.content.decode()
    assert not Alert.objects.exists()


def test_the_preview_says_how_often_it_would_have_fired_and_saves_nothing(
    acme, admin, errors
) -> None:
    errors.past = ["1", "6", "25", "1", "1", None, "7", "1"]
    page = admin.post(url("rule_create", "acme"), FORM | {"preview": "1"})
    part = admin.post(url("rule_create", "acme"), FORM | {"preview": "1", "name": ""}, headers=HTMX)
    for response in (page, part):
        text = response.content.decode()
        assert "It would have fired 2 times in the last 30 days." in text
        assert "At the end it stood at 1.0%. By hour." in text
        assert "Critical 20.0%" in text
        assert "View as table" in text
    firings = part.context["preview"].firings
    assert [(one.severity, one.value) for one in firings] == [
        ("critical", "6.0%"), ("warning", "7.0%"),
    ]  # fmt: skip
    assert all(one.resolved_at for one in firings)
    assert "<h1" not in part.content.decode()
    wrong = admin.post(
        url("rule_create", "acme"), FORM | {"preview": "1", "level_limit": ["", ""]}, headers=HTMX
    )
    assert "Complete the form" in wrong.content.decode()
    errors.past = []
    empty = admin.post(url("rule_create", "acme"), FORM | {"preview": "1"}, headers=HTMX)
    assert "Nothing it watches was recorded" in empty.content.decode()
    assert not Alert.objects.exists()


def test_an_hour_over_the_limit_lasted_longer_than_the_minutes_a_rule_waits(
    acme, admin, errors
) -> None:
    errors.past = ["1", "9", "1", "1", "9", "9", "1"]
    for minutes, times in (("5", "2 times"), ("60", "once")):
        sent = FORM | {"preview": "1", "pending_minutes": minutes, "recover_minutes": "5"}
        part = admin.post(url("rule_create", "acme"), sent, headers=HTMX)
        assert f"It would have fired {times} in" in part.content.decode()
        assert all(one.resolved_at for one in part.context["preview"].firings)


def test_a_rule_begins_with_what_it_watches_or_with_another_rule(acme, admin) -> None:
    cards = admin.get(url("rule_create", "acme")).content.decode()
    assert "?kind=error_rate" in cards
    form = admin.get(url("rule_create", "acme", kind="error_rate", model="gpt-5"))
    assert form.context["form"]["model"].value() == "gpt-5"
    assert "percentile" not in form.context["form"].fields
    made = rule(acme, "Bad", agent="support", window_minutes=17)
    copy = admin.get(url("rule_create", "acme", **{"from": str(made.pk)})).context["form"]
    assert (copy["name"].value(), copy["agent"].value()) == ("Bad copy", "support")
    assert ("17", "17 minutes") in copy.fields["window_minutes"].choices
    for query in ({"kind": "x"}, {"from": "x"}, {"starter": "x"}):
        assert admin.get(url("rule_create", "acme", **query)).status_code == 400


@pytest.mark.parametrize("starter", starters(), ids=lambda one: one.key)
def test_every_ready_made_rule_opens_with_its_limits_and_its_past(acme, admin, starter) -> None:
    opened = admin.get(url("rule_create", "acme", starter=starter.key)).context["form"]
    assert opened["name"].value() == starter.name
    sent = {name: opened[name].value() or "" for name in opened.fields if opened[name].value()}
    sent |= {
        "kind": starter.data["kind"],
        "level_limit": [one.limit for one in opened.levels],
        "level_severity": [one.severity for one in opened.levels],
    }
    part = admin.post(url("rule_create", "acme"), sent | {"preview": "1"}, headers=HTMX)
    assert "in the last 30 days" in part.content.decode()
    assert admin.post(url("rule_create", "acme"), sent).status_code == 302
    assert Alert.objects.get().levels == starter.data["levels"]


def test_one_rule_shows_its_course_incidents_channels_and_changes(
    acme, admin, errors, django_assert_max_num_queries
) -> None:
    errors.past = ["1", "7", "1"]
    made = rule(acme, "Errors", "firing", note="Call Ines.", escalate_minutes=30)
    AlertEventFactory.create(
        organization=acme.organization, alert=made, fired_at=timezone.now() - dt.timedelta(hours=2)
    )
    for is_escalation in (False, True):
        channel = ChannelFactory.create(organization=acme.organization)
        AlertChannel.objects.create(alert=made, channel=channel, is_escalation=is_escalation)
    admin.get(url("rule_detail", "acme", made.pk))
    with django_assert_max_num_queries(20):
        response = admin.get(url("rule_detail", "acme", made.pk))
    text = response.content.decode()
    for words in ("Errors at 7.5 %", "Call Ines.", "Escalates to", "after 30 minutes", "Fired"):
        assert words in text
    assert [one.label for one in response.context["detail"].drawing.series] == [
        "Error rate", "Warning 5.0%", "Fired",
    ]  # fmt: skip


def test_the_course_counts_every_incident_not_only_the_listed_ones(acme, admin, errors) -> None:
    errors.past = ["1", "7", "1"]
    made, now = rule(acme), timezone.now()
    for hours in range(1, 24):
        AlertEventFactory.create(
            organization=acme.organization, alert=made, state="resolved", fired_at=now - dt.timedelta(hours=hours)
        )  # fmt: skip
    detail = admin.get(url("rule_detail", "acme", made.pk)).context["detail"]
    assert "It fired 23 times" in detail.drawing.summary
    assert len(detail.events) == 20


def test_a_rule_about_every_budget_lists_each_of_them(acme, admin) -> None:
    made = rule(acme, "Budgets", kind="budget", levels=[{"limit": "80", "severity": "warning"}])
    for name, status in (("Small", "firing"), ("Large", "ok")):
        AlertState.objects.create(
            alert=made, key=str(BudgetFactory.create(organization=acme.organization).pk), subject=name,
            status=status, level=0 if status == "firing" else -1, value=Decimal(85), period="2026-11",
        )  # fmt: skip
    assert "1 of 2 · Small" in admin.get(url("rule_list", "acme")).content.decode()
    text = admin.get(url("rule_detail", "acme", made.pk)).content.decode()
    assert text.index("Small") < text.index("Large")


def test_a_budgets_page_says_who_is_told_of_it(acme, project, admin, client_of) -> None:
    budget = BudgetFactory.create(organization=acme.organization)
    other = BudgetFactory.create(organization=acme.organization)
    path = url("budget_alerts_panel", "acme", budget.pk)
    assert "Nobody is told" in admin.get(path, headers=HTMX).content.decode()
    levels = [{"limit": "80", "severity": "warning"}]
    every = rule(acme, "Every", kind="budget", levels=levels)
    AlertChannel.objects.create(
        alert=every, channel=ChannelFactory.create(organization=acme.organization, name="On call")
    )
    rule(acme, "Other", kind="budget", levels=levels, budget=other)
    rule(acme, "Off", kind="budget", levels=levels, is_enabled=False)
    rule(acme, "Elsewhere", kind="budget", levels=levels, project=project)
    text = admin.get(path, headers=HTMX).content.decode()
    assert "Told at 80.0% through On call" in text
    assert not [name for name in ("Other", "Off", "Elsewhere") if f">{name}<" in text]
    assert f"?kind=budget&amp;budget={budget.pk}" in text
    assert "Add an alert" not in client_of(acme.viewer).get(path, headers=HTMX).content.decode()
    assert admin.get(path)["Location"].endswith(f"/budgets/{budget.pk}/")


def test_switching_muting_testing_and_deleting_ask_for_the_right_words(acme, admin) -> None:
    made = rule(acme, "Old", "firing")
    one = lambda name, **data: admin.post(url(name, "acme", made.pk), data)  # noqa: E731
    assert one("rule_enabled", enabled="maybe").status_code == 400
    one("rule_enabled", enabled="0")
    assert not Alert.objects.get().is_enabled
    one("rule_mute", **{"for": "1h"})
    assert Alert.objects.get().muted_until is not None
    one("rule_mute", **{"for": "none"})
    assert Alert.objects.get().muted_until is None
    for span in ({"for": "x"}, {"for": "until"}, {"for": "until", "until": "2020-01-01T00:00"}):
        one("rule_mute", **span)
        assert Alert.objects.get().muted_until is None
    one("rule_test")
    assert not Delivery.objects.exists()
    AlertChannel.objects.create(
        alert=made, channel=ChannelFactory.create(organization=acme.organization)
    )
    one("rule_test")
    sent = Delivery.objects.get()
    assert sent.action == "test"
    assert "Now: 3.2%." in sent.payload["words"]
    one("rule_deletion", confirmation="Other")
    assert Alert.objects.exists()
    one("rule_deletion", confirmation="Old")
    assert not Alert.objects.exists()


def test_several_rules_are_switched_together_or_not_at_all(acme, globex, admin) -> None:
    rules = [rule(acme, name) for name in ("A", "B")]
    theirs = AlertFactory.create(organization=globex.organization)
    ids = [str(one.pk) for one in rules]

    def send(action: str, *given: str) -> int:
        return admin.post(
            url("rules_selected", "acme"), {"action": action, "rule": given}
        ).status_code

    assert send("disable", *ids) == 302
    assert not Alert.objects.filter(pk__in=ids, is_enabled=True).exists()
    assert send("enable", *ids, str(theirs.pk)) == 404
    assert not Alert.objects.filter(pk__in=ids, is_enabled=True).exists()
    send("enable", *ids)
    send("mute-1d", *ids)
    assert Alert.objects.filter(is_enabled=True, muted_until__isnull=False).count() == 2
    send("unmute", *ids)
    assert not Alert.objects.filter(muted_until__isnull=False).exists()
    assert send("explode", *ids) == 400
    assert send("mute-1h", "x") == 400
    assert send("mute-1h") == 302


def test_an_empty_organisation_is_offered_rules_that_tell_the_person(acme, admin) -> None:
    text = admin.get(url("rule_list", "acme")).content.decode()
    assert "Add all recommended" in text
    sent = {"starter": ["errors", "errors"]}
    admin.post(url("rules_recommended", "acme"), sent)
    admin.post(url("rules_recommended", "acme"), sent)
    made = Alert.objects.get()
    assert made.levels[0] == {"limit": "5", "severity": "warning"}
    channel = Channel.objects.get()
    assert channel.settings["to"] == [acme.admin.user.email]
    assert list(made.channels.all()) == [channel]
    assert admin.post(url("rules_recommended", "acme"), {"starter": "x"}).status_code == 400
    assert admin.post(url("rules_recommended", "acme")).status_code == 400


def test_others_see_and_change_nothing_denied(acme, globex, client_of) -> None:
    made = rule(acme, "Secret")
    paths = [
        url("rule_list", "acme"), url("rule_export", "acme"), url("rule_detail", "acme", made.pk),
    ]  # fmt: skip
    one = (("rule_edit", FORM), ("rule_enabled", {"enabled": "0"}), ("rule_mute", {"for": "1h"}),
           ("rule_test", {}), ("rule_deletion", {"confirmation": "Secret"}))  # fmt: skip
    posts = [
        (url("rule_create", "acme"), FORM),
        (url("rules_selected", "acme"), {"action": "disable", "rule": str(made.pk)}),
        (url("rules_recommended", "acme"), {"starter": "errors"}),
        *((url(name, "acme", made.pk), data) for name, data in one),
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
    assert stranger.get(url("rule_detail", "globex", made.pk)).status_code == 404
    found = Alert.objects.get()
    assert (found.name, found.is_enabled, found.muted_until) == ("Secret", True, None)
    assert not AlertEvent.objects.exists()
    assert not Channel.objects.exists()
