"""What is no longer kept goes, everywhere it stood, and nothing else does."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core import outbox, partitions
from costs.models import CostRecord
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import aggregate_sums, context_for, llm, raw_sums, span
from traces import retention
from traces.ingest.write import write_spans
from traces.models import SearchDocument, SessionRow, Span, SpanPayload, Trace, UserRow
from traces.search import schedule

pytestmark = pytest.mark.django_db


def write(
    project: Project, trace_id: str, days_ago: float, text: str = "hello secret words"
) -> None:
    at = timezone.now() - dt.timedelta(days=days_ago)
    common: dict[str, Any] = {"trace_id": trace_id, "started_at": at}
    facts: dict[str, Any] = {"user_id": f"user-{trace_id}", "session_id": "chat"}
    spans = [
        span("root", name=f"run {trace_id}", **facts, **common),
        llm(
            "call",
            parent_span_id="root",
            input=[{"role": "user", "content": text}],
            output=text,
            **facts,
            **common,
        ),
    ]
    write_spans(context_for(project), spans, now=timezone.now())


def read_for_search(project: Project) -> None:
    schedule.announce(project_id=project.pk, now=timezone.now())
    drain()


def drain() -> None:
    later = dt.timedelta(minutes=3)
    while outbox.drain(now=lambda: timezone.now() + later):
        pass


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(
        organization=acme.organization, slug="checkout", content_capture="plain"
    )
    return made


def trace_ids(project: Project) -> set[str]:
    return set(Trace.objects.filter(project=project).values_list("trace_id", flat=True))


def test_old_traces_go_with_everything_derived_and_the_ledger_stays(project: Project) -> None:
    other = ProjectFactory(organization=project.organization)
    for target in (project, other):
        write(target, "old", 31)
        write(target, "young", 29)
        read_for_search(target)
    before = raw_sums(project)
    Project.objects.filter(pk=project.pk).update(retention_days=30)
    retention.announce(now=timezone.now())
    drain()
    assert trace_ids(project) == {"young"}
    for model in (Span, SpanPayload, SearchDocument):
        left = model._default_manager.filter(project=project).values_list("trace_id", flat=True)
        assert set(left) == {"young"}, model
    assert [row.user_id for row in UserRow.objects.filter(project=project)] == ["user-young"]
    assert SessionRow.objects.get(project=project).traces == 1
    assert raw_sums(project) == before == aggregate_sums(project)
    assert trace_ids(other) == {"old", "young"}
    assert SessionRow.objects.get(project=other).traces == 2


def test_it_happens_once_a_day_and_in_small_steps(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TRACES_AT_ONCE", 2)
    for number in range(5):
        write(project, f"old{number}", 40 + number)
    Project.objects.filter(pk=project.pk).update(retention_days=30)
    now = timezone.now()
    assert retention.announce(now=now) == 1
    assert retention.announce(now=now) == 0
    drain()
    assert trace_ids(project) == set()


def test_what_was_said_goes_earlier_than_its_trace(project: Project) -> None:
    write(project, "old", 10)
    write(project, "young", 1)
    read_for_search(project)
    assert SearchDocument.objects.get(project=project, trace_id="old").body != ""
    Project.objects.filter(pk=project.pk).update(payload_retention_days=7)
    retention.announce(now=timezone.now())
    drain()
    assert trace_ids(project) == {"old", "young"}
    assert Span.objects.filter(project=project, trace_id="old").count() == 2
    assert not SpanPayload.objects.filter(project=project, trace_id="old").exists()
    assert SpanPayload.objects.filter(project=project, trace_id="young").exists()
    assert bytes(Trace.objects.get(project=project, trace_id="old").preview) == b""
    document = SearchDocument.objects.get(project=project, trace_id="old")
    assert (document.body, document.gist, document.has_content) == ("", "", False)
    assert "secret" not in str(document.words)
    from traces.search import condition

    found = Trace.objects.filter(project=project)
    assert {one.trace_id for one in found.filter(condition(project, "secret"))} == {"young"}
    assert {one.trace_id for one in found.filter(condition(project, "run old"))} == {"old"}


def test_the_oldest_days_go_when_the_limit_of_size_is_reached(project: Project) -> None:
    for days in (0.01, 3, 5, 7):
        write(project, f"t{int(days)}", days, text="word " * 400)
    sizes = retention.stored(project.pk, since=timezone.now() - dt.timedelta(days=30)).days
    assert [steps for _, _, steps in sizes] == [2, 2, 2, 2]
    limit = sizes[0][1] + sizes[1][1] + sizes[2][1] // 2
    Project.objects.filter(pk=project.pk).update(retention_max_bytes=limit)
    retention.announce(now=timezone.now())
    drain()
    assert trace_ids(project) == {"t0", "t3"}


def test_a_large_tables_average_is_used(
    project: Project, client_of: Any, acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ENOUGH_ROWS", 1)
    write(project, "t0", 0.001)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE traces_span")
    since = timezone.now() - dt.timedelta(days=2)
    [(_, size, steps)] = retention.stored(project.pk, since=since).days
    assert (steps, size > 0) == (2, True)
    viewer = client_of(acme.viewer)
    assert viewer.get(f"/projects/{project.slug}/settings/data/storage/").status_code == 200


def test_today_is_never_deleted_by_size(project: Project) -> None:
    write(project, "t0", 0.001)
    write(project, "t2", 2)
    Project.objects.filter(pk=project.pk).update(retention_max_bytes=1)
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    project.refresh_from_db()
    assert retention.trace_cutoff(project, now=timezone.now()) == midnight


def test_days_nobody_keeps_are_dropped_whole(project: Project, settings: Any) -> None:
    settings.LLMLAB_RETENTION_DAYS = 60
    write(project, "old", 70)
    write(project, "young", 20)
    day = (timezone.now() - dt.timedelta(days=70)).date()
    assert day in partitions.existing_days("traces_span")
    retention.announce(now=timezone.now())
    drain()
    assert day not in partitions.existing_days("traces_span")
    assert day not in partitions.existing_days("costs_costrecord")
    assert trace_ids(project) == {"young"}
    assert CostRecord.objects.filter(project=project).count() == 1
    # A late step of that day makes its partition again.
    write(project, "late", 70)
    assert "late" in trace_ids(project)


def test_a_day_goes_early_only_when_every_project_chose_so(project: Project) -> None:
    ProjectFactory(organization=project.organization)
    write(project, "old", 31)
    Project.objects.filter(pk=project.pk).update(retention_days=5)
    retention.drop_old_days(now=timezone.now())
    assert (timezone.now() - dt.timedelta(days=31)).date() in partitions.existing_days(
        "traces_span"
    )
    Project.objects.update(retention_days=5)
    retention.drop_old_days(now=timezone.now())
    assert (timezone.now() - dt.timedelta(days=31)).date() not in partitions.existing_days(
        "traces_span"
    )
