"""Tagging, untagging and deleting many traces: at once, as a job, undone, and by whom."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Role
from core import jobs
from core.models import Job
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory
from traces import bulk
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db
BULK = "/projects/shop/traces/panels/bulk/"


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


def client_as(project: Project, role: Role) -> Client:
    client = Client()
    client.force_login(MembershipFactory(organization=project.organization, role=role).user)
    return client


@pytest.fixture
def member(project: Project) -> Client:
    return client_as(project, Role.MEMBER)


def tags(project: Project) -> dict[str, list[str]]:
    return dict(Trace.objects.filter(project=project).values_list("trace_id", "tags"))


def run(job: Job) -> Job:
    """The job's steps, one after the other, as the worker does them."""
    while (found := Job.objects.get(pk=job.pk)).is_open:
        jobs.handle_step(payload={"job_id": str(found.pk)}, now=timezone.now())
    return found


def test_selected_traces_are_tagged_and_the_message_takes_it_back(member, project):
    TraceFactory(project=project, trace_id="a", tags=["gold"])
    TraceFactory(project=project, trace_id="b", tags=["old"])
    TraceFactory(project=project, trace_id="c")
    stranger = TraceFactory(trace_id="b")
    response = member.post(
        BULK,
        {"action": "tag", "tag": " gold ", "ids": ["a", "b", "nope"], "query": "range=24h"},
        follow=True,
    )
    assert tags(project) == {"a": ["gold"], "b": ["old", "gold"], "c": []}
    assert tags(stranger.project) == {"b": []}
    assert Trace.objects.get(project=project, trace_id="b").seq == 2
    assert Trace.objects.get(project=project, trace_id="a").seq == 1
    text = response.content.decode()
    assert "1 trace tagged “gold”." in text
    undo = re.search(r'action="([^"]*bulk/undo[^"]*)"', text)[1].replace("&amp;", "&")
    member.post(undo)
    assert tags(project) == {"a": ["gold"], "b": ["old"], "c": []}
    assert list(AuditEvent.objects.order_by("created_at").values_list("action", "target")) == [
        ("traces.tagged", "gold"), ("traces.untagged", "gold"),
    ]  # fmt: skip


def test_deleting_names_the_count_and_asks_first(member, project):
    for name in ("a", "b"):
        SpanFactory(trace=TraceFactory(project=project, trace_id=name, failed=True))
    TraceFactory(project=project, trace_id="c")
    asked = {"action": "delete", "scope": "all", "query": "range=24h&status=error"}
    response = member.post(BULK, asked)
    assert "Delete 2 traces?" in response.content.decode()
    assert Trace.objects.filter(project=project).count() == 3
    member.post(BULK, {**asked, "confirmed": "1"})
    assert set(tags(project)) == {"c"}
    assert Span.objects.filter(project=project).count() == 0
    assert AuditEvent.objects.get(action="traces.deleted").data["traces"] == 2


def test_many_become_a_job_that_resumes_and_can_be_undone(member, project, monkeypatch):
    monkeypatch.setattr(bulk, "DIRECT", 2)
    monkeypatch.setattr(bulk, "TAG_STEP", 2)
    for n in range(5):
        TraceFactory(project=project, trace_id=f"t{n}", tags=["x"] if n == 0 else [])
    TraceFactory(project=project, trace_id="ok", environment="dev")
    response = member.post(
        BULK, {"action": "tag", "tag": "x", "scope": "all", "query": "range=24h&q=-env:dev"}
    )
    job = Job.objects.get()
    assert response["Location"].endswith(f"/jobs/{job.pk}/")
    assert job.total == 5
    TraceFactory(project=project, trace_id="t9")  # came after it was asked
    Trace.objects.filter(project=project, trace_id="t9").update(started_at=timezone.now())
    job = run(job)
    assert (job.state, job.done, job.message) == ("done", 5, "4 traces tagged.")
    assert tags(project) == {**{f"t{n}": ["x"] for n in range(5)}, "ok": [], "t9": []}
    undo = job.result["url"]
    assert "takes it back for exactly these" in member.get(undo).content.decode()
    member.post(undo)
    assert tags(project) == {**{f"t{n}": [] for n in range(1, 5)}, "t0": ["x"], "ok": [], "t9": []}
    member.post(undo, follow=True)
    assert tags(project)["t0"] == ["x"]


def test_a_cancelled_job_keeps_what_was_done(member, project, monkeypatch):
    monkeypatch.setattr(bulk, "DIRECT", 1)
    monkeypatch.setattr(bulk, "DELETE_STEP", 1)
    for n in range(3):
        TraceFactory(project=project, trace_id=f"t{n}")
    member.post(BULK, {"action": "delete", "scope": "all", "query": "range=24h", "confirmed": "1"})
    job = Job.objects.get()
    jobs.handle_step(payload={"job_id": str(job.pk)}, now=timezone.now())
    jobs.request_cancel(job.pk, now=timezone.now())
    job.refresh_from_db()
    jobs.handle_step(payload={"job_id": str(job.pk)}, now=timezone.now())
    job.refresh_from_db()
    assert (job.state, job.done) == ("cancelled", 1)
    assert set(tags(project)) == {"t1", "t2"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"action": "tag", "tag": "x"}, "No trace is selected"),
        ({"action": "tag", "tag": "", "ids": ["a"]}, "tag must have 1 to 200"),
        ({"action": "tag", "tag": "x" * 201, "ids": ["a"]}, "tag must have 1 to 200"),
        ({"action": "explode", "ids": ["a"]}, "must be one of tag, untag, delete"),
        ({"action": "delete", "scope": "all", "query": "q=colour:blue"}, "not a key"),
        ({"action": "delete"}, "No trace is selected"),
    ],
)
def test_bad_input_changes_nothing_and_says_why(member, project, data, said):
    TraceFactory(project=project, trace_id="a")
    response = member.post(BULK, data, follow=True)
    assert said in response.content.decode()
    assert tags(project) == {"a": []}


def test_viewers_compare_and_export_but_change_nothing(project):
    viewer = client_as(project, Role.VIEWER)
    TraceFactory(project=project, trace_id="a", name="first")
    TraceFactory(project=project, trace_id="b", name="second")
    compare = viewer.post(BULK, {"action": "compare", "ids": ["a", "b"], "query": "range=24h"})
    assert compare["Location"] == "/projects/shop/traces/compare/?a=a&b=b"
    csv = viewer.post(BULK, {"action": "csv", "ids": ["b"], "query": "range=24h"}, follow=True)
    lines = b"".join(csv.streaming_content).decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["trace_id", "b"]
    for action in ("tag", "untag", "delete"):
        assert (
            viewer.post(
                BULK, {"action": action, "tag": "x", "ids": ["a"], "confirmed": "1"}
            ).status_code
            == 403
        )
    assert tags(project) == {"a": [], "b": []}
    assert not AuditEvent.objects.exists()


def test_strangers_find_nothing(project):
    TraceFactory(project=project, trace_id="a")
    stranger = Client()
    assert stranger.post(BULK, {"action": "tag", "tag": "x", "ids": ["a"]}).status_code == 302
    stranger.force_login(MembershipFactory().user)
    assert stranger.post(BULK, {"action": "tag", "tag": "x", "ids": ["a"]}).status_code == 404
    assert tags(project) == {"a": []}
