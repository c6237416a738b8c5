"""Around the trace page: the list it came from, download, deletion, tenants, short links, polling."""

import datetime as dt
import json
import re

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Role
from costs.models import CostAggregate, CostRecord
from projects.models import Project
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from tests.traces.detail.opened import URL
from traces.models import Span, SpanPayload, Trace

pytestmark = pytest.mark.django_db


def test_j_and_k_stay_inside_the_list_the_reader_came_from(reader, project, trace):
    at = trace.started_at
    TraceFactory(
        project=project,
        trace_id="older",
        started_at=at - dt.timedelta(minutes=1),
        environment="production",
    )
    TraceFactory(
        project=project,
        trace_id="newer",
        started_at=at + dt.timedelta(minutes=1),
        environment="production",
    )
    TraceFactory(
        project=project,
        trace_id="nearer",
        started_at=at + dt.timedelta(seconds=1),
        environment="staging",
    )
    TraceFactory(trace_id="foreign", started_at=at + dt.timedelta(milliseconds=1))
    plain = reader.get(URL).context
    assert (plain["newer_href"], plain["older_href"]) == (
        "/projects/shop/traces/nearer/",
        "/projects/shop/traces/older/",
    )
    inside = reader.get(f"{URL}?list=environment%3Dproduction").context
    assert inside["newer_href"] == "/projects/shop/traces/newer/?list=environment%3Dproduction"


def test_download_holds_the_trace_with_what_was_said(reader, steps):
    payload_for(steps["plan"], input="hello", output={"n": 1})
    response = reader.get(f"{URL}trace.json")
    document = json.loads(b"".join(response.streaming_content))
    assert document["cost_usd"] == "0.0186"
    assert [step["id"] for step in document["steps"]] == ["plan", "root", "tool"]
    assert document["steps"][0]["payload"] == {"input": "hello", "output": {"n": 1}}
    assert document["steps"][2]["payload"] is None


def test_member_deletes_a_trace_and_its_cost_stays(reader, steps, project):
    payload_for(steps["plan"], input="hello")
    other = SpanFactory(trace=TraceFactory(project=project, trace_id="t2"), span_id="root")
    record = CostRecord.objects.create(
        project=project, record_id="t1:plan", trace_id="t1", span_id="plan", occurred_at=timezone.now(),
        price_status="priced", cost_usd=1, recorded_at=timezone.now(),
    )  # fmt: skip
    response = reader.post(f"{URL}deletion/")
    assert response["Location"] == "/projects/shop/traces/"
    assert list(Span.objects.filter(project=project).values_list("trace_id", flat=True)) == [
        other.trace_id
    ]
    assert list(Trace.objects.filter(project=project).values_list("trace_id", flat=True)) == ["t2"]
    assert not SpanPayload.objects.filter(project=project).exists()
    assert CostRecord.objects.filter(project=project, id=record.id).exists()
    event = AuditEvent.objects.get(action="trace.deleted")
    assert (event.target, event.data["steps"]) == ("t1", 3)


def test_viewer_reads_but_deletion_is_denied(client, steps, project):
    client.force_login(MembershipFactory(organization=project.organization, role=Role.VIEWER).user)
    assert "delete-trace" not in client.get(URL).content.decode()
    assert client.post(f"{URL}deletion/").status_code == 403
    assert Span.objects.filter(project=project).count() == 3


def test_deleting_twice_and_by_get_is_denied(reader, steps):
    assert reader.get(f"{URL}deletion/").status_code == 405
    assert reader.post(f"{URL}deletion/").status_code == 302
    assert reader.post(f"{URL}deletion/").status_code == 404


PATHS = [
    "",
    "rows/",
    "rows/?under=plan",
    "find/?find=plan",
    "changes/?after=0",
    "trace.json",
    "steps/plan/",
]


@pytest.mark.parametrize("path", PATHS)
def test_other_organisations_and_strangers_are_denied(client, steps, path):
    assert client.get(f"{URL}{path}").status_code == 302
    htmx = {"HX-Request": "true"}
    assert client.get(f"{URL}{path}", headers=htmx)["HX-Redirect"].startswith("/accounts/login/")
    client.force_login(MembershipFactory().user)
    assert client.get(f"{URL}{path}", headers=htmx).status_code == 404
    client.force_login(UserFactory())
    assert client.get(f"{URL}{path}", headers=htmx).status_code == 404
    assert client.post(f"{URL}deletion/").status_code == 404


@pytest.mark.parametrize("path", PATHS[1:])
def test_trace_of_another_project_is_unknown_here(reader, project, path):
    stranger = TraceFactory(trace_id="t1", name="theirs")
    SpanFactory(trace=stranger, span_id="plan")
    response = reader.get(f"{URL}{path}", headers={"HX-Request": "true"})
    assert response.status_code in (200, 404)
    assert b"theirs" not in response.content
    assert reader.get(URL).status_code == 404


def test_short_link_finds_the_project_among_the_readers_own(reader, project, trace):
    TraceFactory(trace_id="t1")
    assert reader.get("/traces/t1/?step=a")["Location"] == f"{URL}?step=a"
    assert reader.get("/traces/elsewhere/").status_code == 404


def test_short_link_to_a_foreign_trace_equals_unknown(reader, trace):
    TraceFactory(trace_id="theirs")
    foreign = reader.get("/traces/theirs/")
    unknown = reader.get("/traces/absent/")
    assert foreign.status_code == unknown.status_code == 404
    bodies = [
        re.sub(rb"theirs|absent|[\w]{64}", b"", answer.content) for answer in (foreign, unknown)
    ]
    assert bodies[0] == bodies[1]


def test_short_link_between_two_projects_of_one_name(client, project, trace):
    member = MembershipFactory(organization=project.organization)
    twin = ProjectFactory(slug="shop")
    MembershipFactory(organization=twin.organization, user=member.user)
    TraceFactory(project=twin, trace_id="t9")
    client.force_login(member.user)
    assert client.get("/traces/t9/")["Location"] == f"/projects/{twin.pk}/traces/t9/"


def test_polling_answers_204_until_something_changes_then_a_frame(reader, steps):
    assert reader.get(f"{URL}changes/?after=1").status_code == 204
    frame = reader.get(f"{URL}changes/?after=0").content.decode()
    assert 'data-from="0" data-seq="1"' in frame
    assert frame.count('class="wf-row') == 3
    assert reader.get(f"{URL}changes/?after=x{'9' * 30}").status_code == 200


def test_first_trace_panel_waits_then_sends_the_reader_there(reader, project):
    url = "/projects/shop/setup/first-trace/"
    assert reader.get(url, headers={"HX-Request": "true"}).status_code == 204
    old = TraceFactory(
        project=project, trace_id="old", created_at=timezone.now() - dt.timedelta(minutes=5)
    )
    assert (
        reader.get(url, headers={"HX-Request": "true"})["HX-Redirect"]
        == f"/projects/shop/traces/{old.trace_id}/"
    )
    since = {"since": (timezone.now() - dt.timedelta(minutes=1)).isoformat()}
    assert reader.get(url, since, headers={"HX-Request": "true"}).status_code == 204
    TraceFactory(project=project, trace_id="fresh")
    assert (
        reader.get(url, since, headers={"HX-Request": "true"})["HX-Redirect"]
        == "/projects/shop/traces/fresh/"
    )
    assert reader.get(url, {"since": "yesterday"}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_test_trace_is_real_priced_and_opens(reader, project):
    response = reader.post("/projects/shop/setup/test-trace/", headers={"HX-Request": "true"})
    trace = Trace.objects.get(project=project)
    assert response["HX-Redirect"] == f"/projects/shop/traces/{trace.trace_id}/"
    assert (trace.span_count, trace.call_count, trace.unpriced_calls) == (4, 2, 0)
    assert trace.cost_usd > 0
    assert CostAggregate.objects.filter(project=project, dimension="all").count() >= 1
    assert "umbrella" in reader.get(response["HX-Redirect"]).content.decode()


def test_test_trace_by_a_viewer_or_into_an_archive_is_denied(client, project, member):
    client.force_login(MembershipFactory(organization=project.organization, role=Role.VIEWER).user)
    assert client.post("/projects/shop/setup/test-trace/").status_code == 403
    Project.objects.filter(pk=project.pk).update(status=Project.Status.ARCHIVED)
    client.force_login(member.user)
    assert client.post("/projects/shop/setup/test-trace/").status_code == 409
    assert not Trace.objects.filter(project=project).exists()
