"""A person's pass opens the door for a minute, and only as long as the person may call models."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Membership, User
from gateway.playground.passes import LIFE, as_person, issue_pass, open_pass, read_pass
from gateway.quotas.deciding import Granted, Refused
from gateway.structs import Caller
from projects.models import Project
from tests.factories.gateway import LimitFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.quotas.calls import ask, make_call, read

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: SimpleNamespace) -> Any:
    return ProjectFactory.create(organization=acme.organization)


def test_a_pass_names_its_person_and_project_for_a_minute(
    acme: SimpleNamespace, project: Project
) -> None:
    now = timezone.now().replace(microsecond=0)
    raw = issue_pass(user=acme.member.user, project=project, now=now)
    found = open_pass(raw, now=now + LIFE - dt.timedelta(seconds=1))
    assert found is not None
    auth, email = found
    assert (auth.project_id, auth.organization_id) == (project.pk, project.organization_id)
    assert (set(auth.scopes), email) == ({"gateway"}, acme.member.user.email)
    assert open_pass(raw, now=now + LIFE) is None
    for wrong in (raw[:-1], raw.replace(project.pk.hex, "0" * 32), "llmlab_pass_", raw + "x" * 500):
        assert read_pass(wrong, now=now) is None, wrong


def test_who_lost_the_right_meanwhile_is_refused(acme: SimpleNamespace, project: Project) -> None:
    now = timezone.now()
    raw = issue_pass(user=acme.member.user, project=project, now=now)
    mine = Membership.objects.filter(organization=acme.organization, user=acme.member.user)
    mine.update(role="viewer")
    assert open_pass(raw, now=now) is None
    mine.update(role="member")
    User.objects.filter(pk=acme.member.user.pk).update(is_active=False)
    assert open_pass(raw, now=now) is None
    User.objects.filter(pk=acme.member.user.pk).update(is_active=True)
    assert open_pass(raw, now=now) is not None
    Project.objects.filter(pk=project.pk).update(status=Project.Status.DELETING)
    assert open_pass(raw, now=now) is None
    mine.delete()
    elsewhere = issue_pass(user=acme.member.user, project=ProjectFactory.create(), now=now)
    assert open_pass(elsewhere, now=now) is None


def test_nobody_passes_for_somebody_else() -> None:
    said = Caller(
        organization_id="o", project_id="p", key_id="k", key_label="K", user="boss@example.com",
        environment="production", tags=("a",),
    )  # fmt: skip
    made = as_person(said, "me@example.com")
    assert (made.key_id, made.key_label, made.user) == ("", "", "me@example.com")
    assert (made.environment, made.tags) == ("playground", ("a",))


def test_people_count_apart_where_each_key_does(project: Project) -> None:
    LimitFactory.create(organization=project.organization, scope="key", amount=1)
    now = read(project)
    at = timezone.now()

    def call(**caller: str) -> Any:
        return ask(make_call(project, at, **caller), now)

    assert isinstance(call(key_id="", user="ann@example.com"), Granted)
    assert isinstance(call(key_id="", user="bob@example.com"), Granted)
    assert isinstance(call(key_id="", user="ann@example.com"), Refused)
    assert isinstance(call(user="ann@example.com"), Granted)  # a key, for the same person
