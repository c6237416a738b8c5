"""From stored spans to what search, sessions, users and errors are shown from."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from core import outbox
from core.models import Job, OutboxItem
from projects.models import ContentCapture, Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, context_for, llm, span
from traces.filters import parse_filters
from traces.ingest.write import write_spans
from traces.models import (
    ErrorGroup,
    SearchDocument,
    SearchState,
    SessionRow,
    Trace,
    TraceEmbedding,
    UserRow,
)
from traces.removal import delete_trace
from traces.search import condition, purge, schedule
from traces.search.indexing import CONTENT_CHUNK
from traces.selectors import listing, words

pytestmark = pytest.mark.django_db
SECRET = "the dragon sleeps at noon"


def store(project: Project, *spans: Any, now: dt.datetime | None = None) -> None:
    write_spans(context_for(project), list(spans), now=now or timezone.now())


def read(project: Project) -> None:
    """What the workers do, right now."""
    for _ in range(50):
        schedule.handle(payload={"project_id": str(project.pk)}, now=timezone.now())
        while item := outbox.claim(now=timezone.now()):
            assert outbox.run(item.pk, now=timezone.now()), OutboxItem.objects.get(pk=item.pk).error
        if not Job.objects.filter(project_id=project.pk, state__in=("queued", "running")).exists():
            return


def set_capture(project: Project, mode: str) -> None:
    project.content_capture = mode
    project.save(update_fields=["content_capture"])


def found(project: Project, text: str) -> list[str]:
    project.refresh_from_db()
    matching = Trace.objects.filter(condition(project, text), project=project)
    return sorted(matching.values_list("trace_id", flat=True))


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Be kind"}, {"role": "user", "content": text}]


def table_bytes(project: Project) -> bytes:
    """Everything the derived tables hold of the project, as PostgreSQL writes it out."""
    held = b""
    with connection.cursor() as cursor:
        for model in (SearchDocument, TraceEmbedding, SessionRow, UserRow, ErrorGroup):
            cursor.execute(
                f"SELECT t::text FROM {model._meta.db_table} t WHERE project_id = %s",  # noqa: S608
                [project.pk],
            )
            held += "\n".join(row for (row,) in cursor.fetchall()).encode()
    return held


def test_words_of_inputs_and_outputs_are_found_where_stored_searchable() -> None:
    project = ProjectFactory(content_capture=ContentCapture.PLAIN)
    store(
        project,
        llm("a", trace_id="t1", input=asked("Where is my refund?"), output="It was sent on Monday"),
        llm("b", trace_id="t2", input=asked("Cancel my late delivery"), output={"text": "Done"}),
        span("c", trace_id="t3", name="plan refunds"),
    )
    read(project)
    assert found(project, "refund") == ["t1", "t3"]
    assert found(project, '"refund"') == ["t1"]
    assert found(project, '"late delivery"') == ["t2"]
    assert found(project, '"delivery late"') == []
    assert found(project, "refund -monday") == ["t3"]
    assert found(project, "monday OR done") == ["t1", "t2"]
    assert found(project, "-refund") == ["t2"]
    assert found(project, "system") == []  # a role is no word somebody said
    assert found(project, "!!!") == []


def test_an_encrypted_project_never_has_content_in_the_derived_tables() -> None:
    project = ProjectFactory(content_capture=ContentCapture.ENCRYPTED)
    failed = span(
        "b", trace_id="t1", status="error", error_type="Boom", error_message="wheel came off"
    )
    store(
        project,
        llm("a", trace_id="t1", input=asked(SECRET), output=SECRET, user_id="mina", tags=("gold",)),
        failed,
    )
    read(project)
    for word in ("dragon", SECRET):
        assert word.encode() not in table_bytes(project)
        assert found(project, word) == []
    assert found(project, "wheel") == found(project, "gold") == found(project, "mina") == ["t1"]
    assert not TraceEmbedding.objects.filter(project=project).exists()


def test_leaving_plain_hides_content_at_once_and_deletes_it() -> None:
    project = ProjectFactory(content_capture=ContentCapture.PLAIN)
    store(project, llm("a", trace_id="t1", name="first", input=asked(SECRET), output="x"))
    read(project)
    assert found(project, "dragon") == ["t1"]
    set_capture(project, ContentCapture.ENCRYPTED)
    assert found(project, "dragon") == []
    read(project)
    assert b"dragon" not in table_bytes(project)
    assert found(project, "first") == ["t1"]
    job = Job.objects.get(kind="traces.search_rebuild")
    assert (job.state, job.done, job.total) == ("done", 1, 1)


def test_going_plain_reads_what_is_there() -> None:
    project = ProjectFactory(content_capture=ContentCapture.ENCRYPTED)
    store(project, llm("a", trace_id="t1", input=asked(SECRET), output="x"))
    read(project)
    assert found(project, "dragon") == []
    set_capture(project, ContentCapture.PLAIN)
    read(project)
    assert found(project, "dragon") == ["t1"]


def test_what_was_sealed_unmasked_stays_out_of_a_masked_project() -> None:
    project = ProjectFactory(content_capture=ContentCapture.ENCRYPTED)
    store(project, llm("a", trace_id="t1", input=asked(SECRET), output="x"))
    read(project)
    set_capture(project, ContentCapture.MASKED)
    read(project)
    assert found(project, "dragon") == []
    assert b"dragon" not in table_bytes(project)


def test_a_later_step_of_a_trace_is_read_too_and_nothing_twice() -> None:
    project = ProjectFactory(content_capture=ContentCapture.PLAIN)
    store(project, llm("a", trace_id="t1", input=asked("alpha")))
    read(project)
    store(project, llm("b", trace_id="t1", input=asked("beta"), user_id="u", session_id="s"))
    read(project)
    read(project)
    assert found(project, "alpha beta") == ["t1"]
    row = SessionRow.objects.get(project=project)
    assert (row.traces, row.calls, row.cost_usd) == (1, 2, Decimal("0.0009"))
    document = SearchDocument.objects.get(project=project)
    assert document.seq == Trace.objects.get(project=project).seq


def test_sessions_and_users_equal_their_traces() -> None:
    project = ProjectFactory()
    store(
        project,
        llm("a", trace_id="t1", user_id="u1", session_id="s1", environment="prod"),
        llm("b", trace_id="t2", user_id="u1", session_id="s1", started_at=START + dt.timedelta(minutes=5)),
        llm("c", trace_id="t3", user_id="u1", session_id="s2", status="error", error_type="E"),
        llm("d", trace_id="t4", model="nobody-knows-it", user_id="u2"),
    )  # fmt: skip
    read(project)
    s1 = SessionRow.objects.get(project=project, session_id="s1")
    assert (s1.traces, s1.calls, s1.errors, s1.cost_usd) == (2, 2, 0, Decimal("0.0009"))
    assert (s1.first_at, s1.last_at) == (START, START + dt.timedelta(minutes=5, seconds=1))
    assert (s1.duration_ms, s1.user_ids, s1.environments) == (301_000.0, ["u1"], ["prod"])
    assert (s1.input_tokens, s1.output_tokens, s1.tokens) == (2000, 200, 2200)
    u1 = UserRow.objects.get(project=project, user_id="u1")
    assert (u1.traces, u1.sessions, u1.errors) == (3, 2, 1)
    u2 = UserRow.objects.get(project=project, user_id="u2")
    assert (u2.sessions, u2.unpriced_calls, u2.is_unpriced) == (0, 1, True)


def test_a_trace_that_moves_to_another_session_leaves_the_old_one() -> None:
    project = ProjectFactory()
    child = span("b", trace_id="t1", parent_span_id="a", session_id="guess")
    store(project, child)
    read(project)
    assert SessionRow.objects.filter(project=project, session_id="guess").exists()
    store(project, span("a", trace_id="t1", session_id="real", started_at=START))
    read(project)
    rows = SessionRow.objects.filter(project=project).values_list("session_id", "traces")
    assert list(rows) == [("real", 1)]


def test_a_burst_is_one_outbox_row() -> None:
    project = ProjectFactory()
    now = timezone.now()
    for number in range(5):
        store(project, span("a", trace_id=f"t{number}"), now=now)
    assert OutboxItem.objects.filter(topic=schedule.TOPIC).count() == 1


def test_many_chunks_are_read_at_once() -> None:
    project = ProjectFactory(content_capture=ContentCapture.PLAIN)
    count = 2 * CONTENT_CHUNK + 7
    store(project, *(span("a", trace_id=f"t{n}", name="plenty") for n in range(count)))
    schedule.handle(payload={"project_id": str(project.pk)}, now=timezone.now())
    assert SearchDocument.objects.filter(project=project).count() == count


def test_reading_goes_on_in_one_row_and_news_wait_for_it() -> None:
    project = ProjectFactory()
    store(project, span("a", name="lantern"))
    now = timezone.now()
    schedule._go_on(project.pk, now=now)
    going_on = OutboxItem.objects.get(key__contains=":on:")
    schedule.handle(payload={"project_id": str(project.pk)}, now=now)
    assert found(project, "lantern") == []
    schedule.handle(payload=going_on.payload, now=now)
    assert found(project, "lantern") == ["t1"]
    store(project, span("b", trace_id="t2", name="lantern"))
    going_on.done_at = now
    going_on.save()
    schedule.handle(payload={"project_id": str(project.pk)}, now=timezone.now())
    assert found(project, "lantern") == ["t1", "t2"]


def test_the_sweeper_announces_what_nobody_did() -> None:
    project, other = ProjectFactory(), ProjectFactory()
    store(project, span("a"))
    OutboxItem.objects.all().delete()
    later = timezone.now() + dt.timedelta(minutes=5)
    assert schedule.sweep(now=later) == 1
    assert not SearchState.objects.filter(project=other).exists()
    read(project)
    OutboxItem.objects.all().delete()
    assert schedule.sweep(now=later) == 0


def test_history_is_read_by_a_job_that_can_be_watched() -> None:
    project = ProjectFactory()
    old = timezone.now() - dt.timedelta(days=1)
    store(project, *(span("a", trace_id=f"t{n}", name="olden") for n in range(3)), now=old)
    read(project)
    assert found(project, "olden") == ["t0", "t1", "t2"]
    job = Job.objects.get(kind="traces.search_rebuild", project_id=project.pk)
    assert (job.state, job.done, job.total) == ("done", 3, 3)


def test_another_project_is_not_found() -> None:
    mine, theirs = ProjectFactory(), ProjectFactory()
    store(theirs, span("a", trace_id="t1", name="treasure"))
    store(mine, span("a", trace_id="t1", name="sand"))
    read(mine)
    read(theirs)
    assert found(mine, "treasure") == []
    assert found(theirs, "treasure") == ["t1"]


def test_a_deleted_trace_leaves_nothing_behind() -> None:
    project = ProjectFactory(content_capture=ContentCapture.PLAIN)
    failed = {"status": "error", "error_type": "Boom"}
    store(
        project,
        llm("a", trace_id="t1", session_id="s", user_id="u", input=asked(SECRET), **failed),
        llm("b", trace_id="t2", user_id="u"),
    )
    read(project)
    delete_trace(project=project, trace_id="t1")
    assert found(project, "dragon") == []
    assert not SessionRow.objects.filter(project=project).exists()
    assert not ErrorGroup.objects.filter(project=project).exists()
    assert UserRow.objects.get(project=project).traces == 1


def test_purging_a_project_takes_every_derived_row() -> None:
    project, other = ProjectFactory(), ProjectFactory()
    for one in (project, other):
        store(one, span("a", name="x", session_id="s", user_id="u", status="error"))
        read(one)
    assert purge.count_rows(project.pk) == 5
    while purge.delete_batch(project.pk, 2):
        pass
    assert (purge.count_rows(project.pk), purge.count_rows(other.pk)) == (0, 5)


def test_figures_for_a_common_word_come_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    project = ProjectFactory()
    store(project, *(span("a", trace_id=f"t{n}", name="plenty") for n in range(30)))
    store(project, span("b", trace_id="rare", name="lantern"))
    read(project)
    monkeypatch.setattr(listing, "TEXT_CAP", 20)
    now = timezone.now()
    common = parse_filters(QueryDict("range=365d&q=plenty"), now=now)
    rare = parse_filters(QueryDict("range=365d&q=lantern"), now=now)
    plain = parse_filters(QueryDict("range=365d"), now=now)
    totals = listing.trace_totals(project, common)
    assert (totals.count, totals.is_capped) == (20, True)
    volume = listing.trace_volume(project, rare)
    assert (volume.sample, volume.total, volume.is_partial) == (200_000, 1, False)
    # What the statistics say of so few rows is not asked; only that they are asked, and of text alone.
    assert words.is_broad(project, common.nodes, limit=0)
    assert not words.is_broad(project, common.nodes, limit=10**6)
    assert not words.is_broad(project, plain.nodes, limit=0)
    monkeypatch.setattr(listing, "TEXT_SAMPLE", 0)
    volume = listing.trace_volume(project, common)
    assert (volume.sample, volume.is_partial) == (0, True)
    assert listing.trace_volume(project, plain).total == 31
