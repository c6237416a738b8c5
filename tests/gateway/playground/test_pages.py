"""The playground's pages: what they begin with, who may run, and saving a run."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from redis import Redis

from accounts.models import AuditEvent
from core.ids import uuid7
from gateway.models import LLMRequest
from gateway.recording.writer import record
from gateway.snapshot import forget
from gateway.structs import Finished
from projects.models import Project
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory, RouteFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls
from traces.models import Trace

pytestmark = pytest.mark.django_db
ROOT = "/projects/checkout/gateway/playground/"
BODY = {
    "model": "smart",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "A cat"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    "temperature": 0.5, "max_tokens": 99, "stop": ["END"], "stream": False,
    "response_format": {
        "type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}},
    },
}  # fmt: skip


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
    made: Project = ProjectFactory.create(organization=acme.organization, slug="checkout")
    return made


@pytest.fixture
def member(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.member)
    return client


def made(project: Project, **values: Any) -> LLMRequest:
    given = {
        "id": uuid7(), "accepted_at": timezone.now(), "state": "done", "dialect": "openai.chat",
        "asked_model": "smart", "model": "gpt-4o-mini", "status_code": 200, "trace_id": "t", "span_id": "s",
    }  # fmt: skip
    return LLMRequest.objects.create(project=project, **(given | values))


def recorded(project: Project, email: str, body: dict[str, Any]) -> LLMRequest:
    """A call as the gateway records it."""
    call = calls.call(project, body=json.dumps(body).encode(), model="smart", is_stream=False)
    call.caller = type(call.caller)(
        organization_id=project.organization_id.hex, project_id=project.pk.hex, key_id="",
        user=email, environment="playground",
    )  # fmt: skip
    record(
        [Finished(call=call, ended_at=call.accepted_at + 1, state="done", status=200)],
        now=timezone.now(),
    )
    return LLMRequest.objects.get(project=project)


def test_the_page_offers_what_may_be_called_and_begins_as_its_link_says(
    member: Client, project: Project, acme: SimpleNamespace
) -> None:
    assert b"There is no model to call yet" in member.get(ROOT).content
    connection = ConnectionFactory.create(
        organization=acme.organization, model_names=["gpt-4o", "text-embedding-3-small"]
    )
    ConnectionKeyFactory.create(connection=connection)
    RouteFactory.create(project=project, name="smart")
    RouteFactory.create(project=project, name="*")
    forget()
    assert member.get(ROOT).context["draft"].models == ["smart"]  # the first one there is
    page = member.get(
        ROOT + "?model=smart&model=gpt-4o&temperature=0.2&format=json_object&stream=0"
    )
    assert [one.name for one in page.context["callables"]] == ["smart", "gpt-4o"]
    text = page.content.decode()
    assert text.count("data-column ") == 3  # two, and the one to add
    assert 'value="0.2"' in text
    assert '<option value="json_object" selected>' in text
    assert 'aria-current="page">Playground</a>' in text
    for wrong in (
        "temperature=hot", "temperature=3", "seed=1.5", "format=xml", "cache=x", "tool_choice=x", "stream=x",
        "model=" + "m" * 201, "&".join(["model=m"] * 5), "reasoning_effort=x",
    ):  # fmt: skip
        assert member.get(f"{ROOT}?{wrong}").status_code == 400, wrong


def test_a_recorded_call_opens_with_all_that_was_said(
    member: Client, project: Project, acme: SimpleNamespace
) -> None:
    row = recorded(project, acme.member.user.email, BODY)
    for query in (f"request={row.id}", f"trace={row.trace_id}&step={row.span_id}"):
        draft = member.get(f"{ROOT}?{query}").context["draft"]
        opened = draft.opened
        assert (opened.system, opened.note, draft.format) == ("Be brief.", "", "json_schema")
        user, assistant, tool = opened.lines
        assert (user.role, user.text) == ("user", "")
        assert json.loads(user.more)["content"] == BODY["messages"][1]["content"]
        assert json.loads(assistant.more)["tool_calls"][0]["function"]["name"] == "look"
        assert json.loads(json.loads(assistant.more)["tool_calls"][0]["function"]["arguments"]) == {
            "at": 1
        }
        assert (tool.role, tool.text, json.loads(tool.more)) == (
            "tool",
            "A cat",
            {"tool_call_id": "c1"},
        )
        assert json.loads(opened.tools) == BODY["tools"]
        assert draft.values == {"temperature": "0.5", "max_completion_tokens": "99"}
        assert (json.loads(opened.other), draft.is_stream) == ({"stop": ["END"]}, False)
    assert draft.models != ["smart"]  # the step's own model
    assert member.get(f"{ROOT}?request={row.id}").context["draft"].models == ["smart"]


def test_steps_and_requests_lead_here(
    member: Client, project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    row = recorded(project, acme.member.user.email, BODY)
    step = f"/projects/checkout/traces/{row.trace_id}/?step={row.span_id}"
    there = f"{ROOT}?trace={row.trace_id}&amp;step={row.span_id}"
    assert there in member.get(step).content.decode()
    assert there not in client_of(acme.viewer).get(step).content.decode()
    page = member.get(f"/projects/checkout/gateway/requests/{row.id}/").content.decode()
    assert f"{ROOT}?request={row.id}" in page


def test_what_is_not_there_to_open_is_said(
    member: Client, project: Project, acme: SimpleNamespace, globex: SimpleNamespace
) -> None:
    refused = made(project, state="refused", span_id="", asked_model="fast")
    page = member.get(f"{ROOT}?request={refused.id}").content.decode()
    assert "was refused before anybody was asked" in page
    assert 'value="fast"' in page
    elsewhere = recorded(
        ProjectFactory.create(organization=globex.organization), "x@globex.example", BODY
    )
    for query in (
        "request=x", f"request={uuid7()}", "step=x", "trace=%00&step=%00", f"request={elsewhere.id}",
        f"trace={elsewhere.trace_id}&step={elsewhere.span_id}",
    ):  # fmt: skip
        assert member.get(f"{ROOT}?{query}").status_code == 404, query


def test_viewers_look_and_strangers_see_nothing(
    project: Project, acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    row = recorded(project, acme.member.user.email, BODY)
    name = Trace.objects.get(project=project).name
    viewer, stranger = client_of(acme.viewer), client_of(globex.owner)
    page = viewer.get(ROOT)
    assert b"You may look, but not run" in page.content
    assert not page.context["may_run"]
    for client, status in ((viewer, 403), (stranger, 404), (Client(), 302)):
        assert client.post(f"{ROOT}passes/").status_code == status
        answer = client.post(f"{ROOT}runs/{row.id}/saving/", {"name": "Mine", "tags": "a"})
        assert answer.status_code == status
    assert stranger.get(ROOT).status_code == 404
    assert stranger.get(f"{ROOT}runs/{row.id}/").status_code == 404
    trace = Trace.objects.get(project=project)
    assert (trace.name, trace.tags) == (name, [])
    assert not AuditEvent.objects.filter(action="traces.named").exists()
    assert LLMRequest.objects.filter(project=project).count() == 1
    checked = Client(enforce_csrf_checks=True)
    checked.force_login(acme.member.user)
    assert checked.post(f"{ROOT}passes/").status_code == 403
    assert client_of(acme.member).post(f"{ROOT}passes/").json()["pass"].startswith("llmlab_pass_")
    Project.objects.filter(pk=project.pk).update(status=Project.Status.ARCHIVED)
    assert b"This project is archived" in client_of(acme.member).get(ROOT).content


def test_a_run_is_shown_once_it_is_recorded_and_saved_by_name(
    member: Client, project: Project, acme: SimpleNamespace
) -> None:
    assert member.get(f"{ROOT}runs/{uuid7()}/").status_code == 202
    row = recorded(project, acme.member.user.email, BODY)
    assert b"Save as trace" in member.get(f"{ROOT}runs/{row.id}/").content
    url = f"{ROOT}runs/{row.id}/saving/"
    for wrong in (
        {"name": " "},
        {"name": "n" * 201},
        {"name": "x", "tags": ",".join("abcdefghijkl")},
    ):
        answer = member.post(url, wrong)
        assert answer.status_code == 422
        assert b"error" in answer.content
    saved = member.post(url, {"name": " Cat\x00 talk ", "tags": "good, cats,good"})
    assert saved.status_code == 200
    trace = Trace.objects.get(project=project)
    assert (trace.name, trace.tags, trace.environment) == (
        "Cat talk",
        ["good", "cats"],
        "playground",
    )
    assert AuditEvent.objects.get(action="traces.named").target == "Cat talk"
    program = made(project, api_key_id=uuid7())
    assert member.post(f"{ROOT}runs/{program.id}/saving/", {"name": "x"}).status_code == 404


def test_everybody_has_a_history_of_their_own(
    member: Client,
    project: Project,
    acme: SimpleNamespace,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    mine = [made(project, user_id=acme.member.user.email) for _ in range(3)]
    made(project, user_id=acme.admin.user.email)
    made(project, user_id=acme.member.user.email, api_key_id=uuid7())
    with django_assert_max_num_queries(4):
        rows = member.get(f"{ROOT}runs/", headers={"HX-Request": "true"}).context["runs"]
    assert {row.id for row in rows} == {row.id for row in mine}
    assert member.get(ROOT).context["draft"].models == ["smart"]  # the last one
    with django_assert_max_num_queries(20):
        member.get(ROOT)
