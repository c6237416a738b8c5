"""What holds for all calls of a project."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from gateway.connections.demo import PLACES
from gateway.models import ConfigVersion, GatewaySettings, Route
from gateway.routing.demo import seed_routes
from gateway.routing.dry_run import Trial, run_dry
from gateway.routing.quality import scores_by_model
from gateway.routing.services import rules_of_project
from tests.factories.feedback import ScoreFactory
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db
URL = "/projects/checkout/gateway/settings/"
FORM = {
    "default_priority": "low", "on_client_gone": "cancel", "deadline_s": "90", "queue_limit": "50",
    "job_max_attempts": "2", "job_keep_days": "0.5", "cache_exact": "on", "cache_ttl_s": "60", "cache_namespace": "",
    "cache_threshold": "0.99", "cache_shadow_share": "0.1", "cache_wrong_limit": "0.02", "compact_whitespace": "on",
    "compact_history_tokens": "4000", "cache_entries": "500",
}  # fmt: skip


def test_settings_are_saved_once_and_audited(admin: Client, project: Any) -> None:
    key = ApiKeyFactory.create(project=project, scopes=["gateway"])
    GatewaySettings.objects.create(
        project=project, rules={"guards": [{"kind": "secrets", "action": "mask"}]}
    )
    sent = FORM | {f"key_{key.pk.hex}": "high"}
    for _ in range(2):
        assert admin.post(URL, sent).status_code == 302
    rules = rules_of_project(project.pk)
    assert (rules.default_priority, rules.on_client_gone, rules.deadline_s) == ("low", "cancel", 90)
    assert (rules.direct, rules.job_keep_s, rules.cache.exact) == (False, 43_200, True)
    assert (rules.compact.whitespace, rules.compact.history_tokens) == (True, 4000)
    assert rules.key_priorities == {key.pk.hex: "high"}
    assert [one.kind for one in rules.guards] == ["secrets"]  # what the form does not show stays
    assert AuditEvent.objects.filter(action="gateway.settings.changed").count() == 1
    assert ConfigVersion.objects.get(pk=project.organization_id).version == 1
    page = admin.get(URL).content.decode()
    assert 'value="0.5"' in page
    assert '<option value="mask:input" selected>Mask in requests</option>' in page


def test_an_older_page_does_not_undo_what_was_saved_since(admin: Client, project: Any) -> None:
    first = FORM | {"seen": admin.get(URL).context["seen"]}
    assert admin.post(URL, first).status_code == 302
    assert admin.post(URL, first).status_code == 302  # the same again, by a second click
    late = admin.post(URL, first | {"deadline_s": "30"})
    assert late.status_code == 422
    assert b"saved other settings since you opened this page" in late.content
    assert rules_of_project(project.pk).deadline_s == 90
    again = first | {"deadline_s": "30", "seen": late.context["seen"]}
    assert admin.post(URL, again).status_code == 302
    assert rules_of_project(project.pk).deadline_s == 30


def test_checks_are_set_by_the_form_and_others_stay(admin: Client, project: Any) -> None:
    kept = {"kind": "pii", "action": "block", "when": {"agents": ["crawler"]}}
    GatewaySettings.objects.create(project=project, rules={"guards": [kept]})
    sent = FORM | {
        "guard_pii": "mask:both", "guard_max_tokens": "block:input", "guard_max_tokens_limit": "500",
        "guard_patterns": "flag:output", "guard_patterns_lines": "unicorn\r\nxan[a]du",
    }  # fmt: skip
    assert admin.post(URL, sent).status_code == 302
    rules = rules_of_project(project.pk).guards
    assert [(one.kind, one.action, one.on) for one in rules] == [
        ("max_tokens", "block", "input"), ("pii", "mask", "both"), ("patterns", "flag", "output"),
        ("pii", "block", "input"),
    ]  # fmt: skip
    assert (rules[0].limit, rules[2].patterns) == (500, ("unicorn", "xan[a]du"))
    page = admin.get(URL).content.decode()
    assert "as the API set them: pii (block)" in page
    assert "xan[a]du" in page
    answer = admin.post(URL, sent | {"guard_patterns_lines": "(?=x)"})
    assert answer.status_code == 422
    assert "look-ahead" in answer.content.decode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"deadline_s": "0"}, "deadline_s"),
        ({"queue_limit": "20001"}, "queue_limit"),
        ({"job_keep_days": "91"}, "job_keep_s"),
        ({"cache_entries": "0"}, "cache_entries"),
        (
            {"guard_pii": "", "guard_injection": "block:input", "guard_injection_limit": "0"},
            "guards.0.limit",
        ),
        ({"cache_threshold": "0.2"}, "cache.threshold"),
        ({"compact_history_tokens": "3"}, "compact.history_tokens"),
        ({"default_priority": "x"}, "Select a valid choice"),
    ],
)
def test_wrong_settings_are_refused_beside_their_field(
    admin: Client, project: Any, values: dict[str, str], words: str
) -> None:
    response = admin.post(URL, FORM | values)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not GatewaySettings.objects.exists()


def test_others_look_or_see_nothing(
    viewer: Client, client_of: Any, acme: SimpleNamespace, globex: Any, project: Any
) -> None:
    seen = viewer.get(URL)
    assert seen.status_code == 200
    assert b"Save settings" not in seen.content
    for client, status in (
        (viewer, 403),
        (client_of(acme.member), 403),
        (client_of(globex.owner), 404),
    ):
        assert client.post(URL, FORM).status_code == status
    assert client_of(globex.owner).get(URL).status_code == 404
    assert not GatewaySettings.objects.exists()


def test_the_demo_has_routes_once(project: Any, acme: SimpleNamespace) -> None:
    now = timezone.now()
    seed_routes(project=project, owner=acme.owner.user, now=now)
    assert not Route.objects.exists()  # nothing to lead to
    for name, kind, _ in PLACES:
        made = ConnectionFactory.create(organization=acme.organization, name=name, kind=kind)
        ConnectionKeyFactory.create(connection=made)
    for _ in range(2):
        seed_routes(project=project, owner=acme.owner.user, now=now)
    assert set(Route.objects.values_list("name", flat=True)) == {
        "smart", "cheap", "answers", "steady",
    }  # fmt: skip
    for name, connections in (("smart", 3), ("cheap", 3), ("answers", 1), ("steady", 2)):
        outcome = run_dry(project, Trial(model=name), now=now)
        assert len(outcome.chain) == connections, outcome
        assert not outcome.error
    assert [one.kind for one in rules_of_project(project.pk).guards] == ["pii"]


def test_models_are_scored_by_what_people_said_of_their_steps(project: Any) -> None:
    now = timezone.now()
    spans = [
        llm(f"s{n}", trace_id=f"t{n}", request_model="good" if n % 2 else "bad", started_at=now)
        for n in range(8)
    ]
    write_spans(context_for(project), spans, now=now)
    for n in range(8):
        ScoreFactory.create(
            project=project, trace_id=f"t{n}", span_id="", name="stars", value=5 if n % 2 else 2, scored_at=now,
        )  # fmt: skip
    assert scores_by_model(project.pk, now=now) == {"good": 1.0, "bad": 0.0}
    assert scores_by_model(ProjectFactory.create().pk, now=now) == {}
