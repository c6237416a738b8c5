"""A user's or session's data deleted: nowhere a trace of the id, every amount still there."""

import datetime as dt
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.models import AuditEvent
from core.errors import DomainError
from core.models import Job
from costs.models import CostAggregate, CostDailyAggregate, CostRecord
from costs.services.forget import forget_person
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import aggregate_sums, context_for, llm, raw_sums
from tests.traces.test_retention import drain, read_for_search, trace_ids, write
from traces import erasure
from traces.ingest.write import write_spans
from traces.models import SearchDocument, SearchState, SessionRow, Trace, UserRow
from traces.removal import remove_traces
from traces.search.indexing import read_news

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(
        organization=acme.organization, slug="checkout", content_capture="plain"
    )
    for trace in ("a", "b", "c"):
        write(made, trace, 1)
    read_for_search(made)
    return made


def tables_with(text: str) -> list[str]:
    """Every table of the application whose rows contain the text."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        found = []
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}" t WHERE t::text LIKE %s', [f"%{text}%"])  # noqa: S608
            if cursor.fetchone()[0]:
                found.append(name)
    return found


def test_a_user_is_gone_from_every_table_and_the_sums_stay(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 1)
    before = raw_sums(project)
    assert "costs_costrecord" in tables_with("user-a")
    job = erasure.start_erasure(
        project=project, subject="user", value="user-a", actor=None, now=timezone.now()
    )
    drain()
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", 1)
    assert tables_with("user-a") == []
    assert trace_ids(project) == {"b", "c"}
    assert raw_sums(project) == before == aggregate_sums(project)
    assert CostRecord.objects.filter(project=project, user_id="").count() == 1
    users = CostAggregate.objects.filter(project=project, dimension="user")
    assert set(users.values_list("value", flat=True)) == {"user-b", "user-c"}
    assert {row.user_id for row in UserRow.objects.filter(project=project)} == {"user-b", "user-c"}
    event = AuditEvent.objects.get(action="user.erasure_requested")
    assert event.data["traces"] == 1


def test_a_session_takes_all_its_traces(project: Project) -> None:
    other = ProjectFactory(organization=project.organization)
    write(other, "x", 1)
    erasure.start_erasure(
        project=project, subject="session", value="chat", actor=None, now=timezone.now()
    )
    drain()
    assert trace_ids(project) == set()
    assert not SessionRow.objects.filter(project=project).exists()
    assert trace_ids(other) == {"x"}


@pytest.mark.parametrize(
    ("subject", "value", "words"),
    [("team", "x", "user or session"), ("user", "", "1 to 200"), ("user", "x" * 201, "1 to 200")],
)
def test_what_cannot_be_erased_is_refused(
    project: Project, subject: str, value: str, words: str
) -> None:
    with pytest.raises(DomainError, match=words):
        erasure.start_erasure(
            project=project, subject=subject, value=value, actor=None, now=timezone.now()
        )
    assert not Job.objects.filter(kind=erasure.KIND).exists()


def test_members_ask_admins_erase(
    project: Project, acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    path = "/projects/checkout/settings/data/erasure/"
    sent = {"subject": "user", "value": "user-a", "confirm": "user-a"}
    for membership, status in ((acme.viewer, 403), (acme.member, 403), (globex.owner, 404)):
        assert client_of(membership).post(path, sent).status_code == status
    assert trace_ids(project) == {"a", "b", "c"}
    wrong = client_of(acme.admin).post(path, {**sent, "confirm": "user-b"})
    assert wrong.status_code == 422
    assert client_of(acme.admin).post(path, sent).status_code == 302
    drain()
    assert trace_ids(project) == {"b", "c"}
    later = timezone.now() + dt.timedelta(seconds=1)
    assert Job.objects.get(kind=erasure.KIND).created_at < later


@pytest.mark.django_db(transaction=True)
def test_what_arrives_while_a_person_is_forgotten_keeps_its_share(acme: SimpleNamespace) -> None:
    """A call of the same user is committed between the records' update and the end of the erasure."""
    project: Project = ProjectFactory(organization=acme.organization, slug="busy")
    write(project, "a", 1)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        forget_person(
            LateWriter(cursor, project), project_id=project.pk, column="user_id", value="user-a"
        )
    assert CostRecord.objects.filter(project=project, user_id="user-a").count() == 1
    for model in (CostAggregate, CostDailyAggregate):
        mine = model.objects.filter(project=project, dimension="user", value="user-a")
        assert mine.aggregate(calls=Sum("calls"), cost=Sum("cost_usd")) == {
            "calls": 1, "cost": CostRecord.objects.get(project=project, user_id="user-a").cost_usd,
        }  # fmt: skip
        assert not mine.filter(calls=0).exists()


class LateWriter:
    """A cursor; once the records are blank another connection stores a call of the same user on another day."""

    def __init__(self, cursor: Any, project: Project) -> None:
        self.cursor, self.project, self.is_done = cursor, project, False

    def execute(self, sql: str, params: Any = None) -> None:
        self.cursor.execute(sql, params)
        if not self.is_done and sql.startswith("UPDATE costs_costrecord"):
            self.is_done = True
            rows = self.cursor.fetchall()
            self.fetchall = lambda: rows
            thread = threading.Thread(target=self._store)
            thread.start()
            thread.join()

    def _store(self) -> None:
        at = timezone.now() - dt.timedelta(days=2)
        one = llm("late", trace_id="late", user_id="user-a", started_at=at)
        write_spans(context_for(self.project), [one], now=timezone.now())
        connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)


@pytest.mark.django_db(transaction=True)
def test_a_count_waits_for_the_deletion_beside_it(acme: SimpleNamespace) -> None:
    project: Project = ProjectFactory(
        organization=acme.organization, slug="busy", content_capture="plain"
    )
    for trace in ("a", "b"):
        write(project, trace, 1)
    read_for_search(project)
    Trace.objects.filter(project=project).update(updated_at=timezone.now())
    state = SearchState.objects.get(project=project)

    def read() -> None:
        read_news(project, state, now=timezone.now())
        connection.close()

    with transaction.atomic():
        remove_traces(project_id=project.pk, trace_ids=["a"], now=timezone.now())
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(0.5)
        assert reader.is_alive()  # it would have counted and written down what is being deleted
    reader.join()
    assert SessionRow.objects.get(project=project).traces == 1
    assert not SearchDocument.objects.filter(project=project, trace_id="a").exists()
