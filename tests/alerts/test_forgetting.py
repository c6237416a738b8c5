"""A user of the product who is erased is named by no rule, incident or message any more."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from alerts.deciding import decide
from alerts.measures.base import Cause, Evidence, Reading
from alerts.measures.registry import measure_for
from alerts.models import Alert, AlertEvent, Delivery
from projects.models import Project
from tests.factories.alerts import AlertFactory, ChannelFactory
from tests.factories.projects import ProjectFactory
from tests.traces.test_erasure import tables_with
from tests.traces.test_retention import drain, read_for_search, write
from traces import erasure

pytestmark = pytest.mark.django_db

LEVELS = [{"limit": "1", "severity": "warning"}]


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(organization=acme.organization)
    write(made, "a", 1)
    write(made, "b", 1)
    read_for_search(made)
    return made


def rule(around: Project, **values: Any) -> Alert:
    made: Alert = AlertFactory.create(
        organization=around.organization, kind="spend", levels=LEVELS, **values
    )
    made.channels.add(ChannelFactory.create(organization=around.organization, kind="slack"))
    return made


def fire(*rules: Alert) -> None:
    decide([Reading(one, Decimal(5), sample=3) for one in rules], now=timezone.now())


def erase(project: Project, user: str = "user-a") -> None:
    erasure.start_erasure(
        project=project, subject="user", value=user, actor=None, now=timezone.now()
    )
    drain()


def test_rules_about_the_user_go_and_others_lose_the_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = (Cause("user", "user-a", "$4.00", None), Cause("model", "gpt-5", "$1.00", None))
    monkeypatch.setattr(type(measure_for("spend")), "evidence", lambda *_: Evidence(causes=causes))
    own = rule(project, project=project, user_id="user-a")
    wide = rule(project, user_id="user-a")
    kept = rule(project, project=project)
    other = rule(project, user_id="user-b")
    fire(own, wide, kept, other)
    assert {"alerts_alert", "alerts_alertevent", "alerts_delivery"} <= set(tables_with("user-a"))
    erase(project)
    assert tables_with("user-a") == []
    assert set(Alert.objects.all()) == {kept, other}
    event = AlertEvent.objects.get(alert=kept)
    assert [one["value"] for one in event.evidence["causes"]] == ["a deleted user", "gpt-5"]
    (message,) = Delivery.objects.filter(event=event)
    assert message.payload["causes"][0] == ["user", "a deleted user", "$4.00"]


def test_messages_about_several_go_with_them(project: Project) -> None:
    channel = ChannelFactory.create(organization=project.organization, kind="slack")
    rules = [rule(project, project=project, user_id="user-a") for _ in range(7)]
    for one in rules:
        one.channels.set([channel])
    fire(*rules)
    assert Delivery.objects.filter(action="group").exists()
    erase(project)
    assert tables_with("user-a") == []


def test_a_user_whom_another_project_knows_stays_in_rules_of_all_projects(
    project: Project,
) -> None:
    elsewhere = ProjectFactory(organization=project.organization)
    write(elsewhere, "a", 1)
    read_for_search(elsewhere)
    wide = rule(project, user_id="user-a")
    theirs = rule(project, project=elsewhere, user_id="user-a")
    rule(project, project=project, user_id="user-a")
    foreign = AlertFactory.create(kind="spend", levels=LEVELS, user_id="user-a")
    erase(project)
    assert set(Alert.objects.all()) == {wide, theirs, foreign}


def test_an_erased_session_changes_no_rule(project: Project) -> None:
    rule(project, user_id="chat")
    erasure.start_erasure(
        project=project, subject="session", value="chat", actor=None,
        now=timezone.now() + dt.timedelta(seconds=1),
    )  # fmt: skip
    drain()
    assert Alert.objects.count() == 1
