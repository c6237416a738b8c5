"""The demo's account: made once, found again, secrets kept in files only we can read."""

import stat

import pytest

from accounts.models import Membership, Organization, Role, User
from projects.authentication import hash_key
from projects.demo import EMAIL, ensure_demo
from projects.models import ApiKey, ContentCapture, Project

pytestmark = pytest.mark.django_db


def test_first_time_makes_everything(tmp_path):
    demo = ensure_demo(folder=tmp_path / "demo")
    user = User.objects.get(email="demo@llmlab.local")
    assert user.check_password(demo.password)
    assert user.emailaddress_set.get().verified
    organization = Organization.objects.get(name="Demo")
    assert organization.is_demo
    assert Membership.objects.get(user=user, organization=organization).role == Role.OWNER
    assert (demo.project.name, demo.project.slug) == ("Support Copilot", "support-copilot")
    assert demo.project.content_capture == ContentCapture.PLAIN
    colleague = User.objects.get(email="ines@fernhill.example")
    assert not colleague.has_usable_password()
    assert Membership.objects.get(user=colleague, organization=organization).role == Role.MEMBER
    key = ApiKey.objects.get(project=demo.project)
    assert key.key_hash == hash_key(demo.api_key)
    assert key.scopes == ["ingest", "read", "gateway"]
    for name in ("password", "api_key"):
        assert stat.S_IMODE((tmp_path / "demo" / name).stat().st_mode) == 0o600


def test_second_time_changes_nothing(tmp_path):
    assert ensure_demo(folder=tmp_path) == ensure_demo(folder=tmp_path)
    counts = [model.objects.count() for model in (User, Organization, Project, ApiKey)]
    assert counts == [2, 1, 1, 1]


def test_lost_files_are_replaced(tmp_path):
    first = ensure_demo(folder=tmp_path / "a")
    second = ensure_demo(folder=tmp_path / "b")
    assert first.project == second.project
    assert first.password != second.password
    assert User.objects.get(email=EMAIL).check_password(second.password)
    assert {first.api_key, second.api_key} == {
        (tmp_path / name / "api_key").read_text().strip() for name in "ab"
    }


def test_password_the_person_changed_is_left_alone(tmp_path):
    ensure_demo(folder=tmp_path)
    user = User.objects.get(email=EMAIL)
    user.set_password("my own long password")
    user.save()
    assert ensure_demo(folder=tmp_path).password == ""
    assert User.objects.get(email=EMAIL).check_password("my own long password")


def test_key_of_an_emptied_database_is_made_anew(tmp_path):
    first = ensure_demo(folder=tmp_path)
    Organization.objects.all().delete()
    second = ensure_demo(folder=tmp_path)
    assert second.project.pk != first.project.pk
    assert second.api_key != first.api_key
    assert (tmp_path / "api_key").read_text().strip() == second.api_key
