"""What a project stores and how long: who may change it, what is refused, and that the doors obey."""

from types import SimpleNamespace
from typing import Any

import pytest

from accounts.models import AuditEvent
from core.errors import DomainError
from projects.data_policy import change_data_policy
from projects.models import Project
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
BASE = "/projects/checkout/settings/data/"


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(organization=acme.organization, slug="checkout")
    return made


def test_an_admin_chooses_the_mode_and_the_rules(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(acme.admin)
    sent = {
        "content_capture": "masked",
        "builtin": ["email"],
        "pattern_name": ["customer", ""],
        "pattern_pattern": ["CUST-[0-9]{6}", ""],
        "pattern_replacement": ["[customer]", ""],
    }
    assert client.post(f"{BASE}capture/", sent).status_code == 302
    project.refresh_from_db()
    assert project.content_capture == "masked"
    assert project.masking == {
        "builtin": ["email"],
        "patterns": [{"name": "customer", "pattern": "CUST-[0-9]{6}", "replacement": "[customer]"}],
    }
    event = AuditEvent.objects.get(action="project.data_policy_changed")
    assert event.data["content_capture"] == {"from": "encrypted", "to": "masked"}
    tried = client.post(f"{BASE}masking/", {"text": "CUST-123456 wrote from a@b.example"})
    page = tried.content.decode()
    assert "[customer] wrote from" in page
    assert "CUST-123456 wrote" in page  # in the field only
    assert page.count("CUST-123456") == 1


def test_a_pattern_that_cannot_run_in_linear_time_is_refused_and_kept_in_the_form(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    sent = {
        "content_capture": "masked",
        "pattern_name": ["twice"],
        "pattern_pattern": [r"(a)\1"],
        "pattern_replacement": ["x"],
    }
    answer = client_of(acme.admin).post(f"{BASE}capture/", sent)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "twice" in page
    assert r"(a)\1" in page
    project.refresh_from_db()
    assert (project.content_capture, project.masking) == ("encrypted", {})


def test_retention_is_kept_emptied_and_bounded(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(acme.admin)
    sent = {"retention_days": "30", "payload_retention_days": "7", "max_gib": "1.5"}
    assert client.post(f"{BASE}retention/", sent).status_code == 302
    project.refresh_from_db()
    assert (project.retention_days, project.payload_retention_days) == (30, 7)
    assert project.retention_max_bytes == 1_610_612_736
    shown = client_of(acme.viewer).get(BASE).content.decode()
    assert "30 days" in shown
    assert "1.5 GB" in shown
    assert "<form" not in shown.split('id="main"')[1].split("</main>")[0]
    for wrong, field in (
        ({"retention_days": "0"}, "retention_days"),
        ({"retention_days": "401"}, "retention_days"),
        ({"retention_days": "5", "payload_retention_days": "6"}, "payload_retention_days"),
        ({"max_gib": "-1"}, "max_gib"),
    ):
        answer = client.post(f"{BASE}retention/", wrong)
        assert answer.status_code == 422, wrong
        assert field in answer.content.decode()
    empty = {"retention_days": "", "payload_retention_days": "", "max_gib": ""}
    assert client.post(f"{BASE}retention/", empty).status_code == 302
    project.refresh_from_db()
    assert (project.retention_days, project.retention_max_bytes) == (None, None)


@pytest.mark.parametrize("path", ["capture/", "retention/", "erasure/"])
def test_members_and_strangers_change_nothing(
    project: Project,
    acme: SimpleNamespace,
    globex: SimpleNamespace,
    client_of: Any,
    path: str,
) -> None:
    sent = {"content_capture": "off", "retention_days": "1", "subject": "user", "value": "x"}
    for membership, status in ((acme.viewer, 403), (acme.member, 403), (globex.owner, 404)):
        assert client_of(membership).post(BASE + path, sent).status_code == status
    project.refresh_from_db()
    assert (project.content_capture, project.retention_days) == ("encrypted", None)


def test_the_service_names_field_value_and_rule(project: Project) -> None:
    for changes, words in (
        ({"content_capture": "loud"}, "content_capture='loud' must be one of off, masked"),
        ({"retention_days": 0}, "retention_days=0 must be a whole number from 1 to 400"),
        ({"retention_max_bytes": 5}, "retention_max_bytes=5 must be"),
        ({"masking": {"builtin": ["nose"]}}, "no built-in rule 'nose'"),
    ):
        with pytest.raises(DomainError, match=words):
            change_data_policy(project=project, actor=None, **changes)
    assert not AuditEvent.objects.filter(action="project.data_policy_changed").exists()


def test_the_storage_panel_says_what_is_held(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    page = client_of(acme.viewer).get(f"{BASE}storage/").content.decode()
    assert "none yet" in page
    assert "400 days" in page


def test_the_api_changes_the_policy_with_the_same_rules(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    client, path = client_of(acme.admin), "/api/v1/projects/checkout"
    changed = client.patch(
        path, {"content_capture": "off", "retention_days": 10}, content_type="application/json"
    )
    assert changed.status_code == 200
    assert (changed.json()["content_capture"], changed.json()["retention_days"]) == ("off", 10)
    for wrong, field in (
        ({"retention_days": 4000}, "retention_days"),
        ({"masking": {"patterns": [{"name": "x", "pattern": "("}]}}, "masking.patterns[0].pattern"),
        ({"content_capture": "loud"}, "content_capture"),
    ):
        answer = client.patch(path, wrong, content_type="application/json")
        assert answer.status_code == 400
        assert field in answer.json()["fields"]
    assert (
        client_of(acme.member)
        .patch(path, {"content_capture": "plain"}, content_type="application/json")
        .status_code
        == 403
    )
    project.refresh_from_db()
    assert project.content_capture == "off"
