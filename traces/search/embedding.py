"""Vectors of traces' gists: by the operator's embeddings endpoint, or by the offline lexical default.

Documents whose vector is not of the current model are waiting: a worker takes them in batches, and a change of model
makes all of them wait (a job with progress). A question is embedded the same way; with an endpoint by a worker, so that
web processes never load a provider's package nor wait for a network of their own.
"""

import datetime as dt
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from core import jobs
from core.errors import DomainError
from core.models import Job
from projects.models import Project
from traces.activity.counting import take_turns
from traces.models import SearchDocument, SearchState
from traces.search import endpoint, lexical

logger = logging.getLogger(__name__)
KIND = "traces.search_embed"
BATCH = 64
# More than this many waiting: a job that people can watch and cancel.
JOB_FROM = 2_000
WAIT_S = 5.0
POLL_S = 0.05
KEEP_QUESTION_S = 3600
MAX_DIMENSIONS = 4_000  # of PostgreSQL's index on half-precision vectors
_MADE_INDEXES = {lexical.DIMENSIONS}


class MeaningUnavailableError(DomainError):
    """The question could not be embedded; search by words still works."""

    code = "meaning_unavailable"
    status = 503


@dataclass(frozen=True)
class Model:
    """Who makes the vectors. `key` is stored beside each."""

    key: str
    label: str
    is_lexical: bool


def current_model() -> Model:
    """The configured model, or the offline default."""
    if not settings.LLMLAB_EMBEDDINGS_BASE_URL:
        return Model(f"lexical-{lexical.DIMENSIONS}", "lexical (offline)", True)
    name = settings.LLMLAB_EMBEDDINGS_MODEL
    size = settings.LLMLAB_EMBEDDINGS_DIMENSIONS
    return Model(f"{name}@{size}" if size else name, name, False)


def ring(project_id: UUID) -> None:
    """Tell a worker, after commit, that documents wait; a lost bell is made good by the sweeper."""
    transaction.on_commit(
        lambda: _send("traces.tasks.embed_documents", "analysis", project_id=str(project_id)),
        robust=True,
    )


def _send(task: str, queue: str, **kwargs: Any) -> bool:
    from celery import current_app  # as core.outbox: the broker client only when there is work

    try:
        current_app.send_task(
            task, queue=queue, kwargs=kwargs, retry=False, ignore_result=True, expires=60
        )
    except OperationalError as error:
        logger.warning("traces.search.bell_lost: %s", type(error).__name__)
        return False
    return True


def waiting(project_id: UUID, *, at_most: int) -> int:
    """How many documents wait for a vector of the current model, counted up to a cap. One query."""
    found = _waiting(project_id).values("trace_id")
    return int(found[:at_most].count())


def _waiting(project_id: UUID) -> Any:
    return (
        SearchDocument.objects.filter(project=project_id)
        .exclude(gist="")
        .exclude(embedded_with=current_model().key)
    )


def embed_batch(project: Project, *, now: dt.datetime, limit: int = BATCH) -> int:
    """Embed the newest waiting documents; returns how many. Raises endpoint.EndpointError.

    No transaction is open while the endpoint is asked; a gist that changed meanwhile waits again.
    """
    model = current_model()
    rows = list(
        _waiting(project.pk).order_by("-started_at").values_list("trace_id", "gist")[:limit]
    )
    if not rows:
        return 0
    vectors = _vectors(project, [gist for _, gist in rows], now=now)
    _ensure_index(len(vectors[0]))
    _store(project.pk, model.key, rows, vectors)
    return len(rows)


def _vectors(project: Project, texts: Sequence[str], *, now: dt.datetime) -> list[list[float]]:
    if not settings.LLMLAB_EMBEDDINGS_BASE_URL:
        return [lexical.embed(text) for text in texts]
    return endpoint.embed(texts, project_id=project.pk, now=now)


def _ensure_index(size: int) -> None:
    """The index of this size of vectors: made when the first one is stored."""
    if size in _MADE_INDEXES:
        return
    if not 1 <= size <= MAX_DIMENSIONS:
        raise endpoint.EndpointError(
            f"The model answers with {size} numbers; at most {MAX_DIMENSIONS} can be indexed."
            " Set LLMLAB_EMBEDDINGS_DIMENSIONS or choose another model."
        )
    with connection.cursor() as cursor:
        # A whole number from 1 to 4000: DDL takes no parameters.
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS traces_embedding_near_{size:d} ON traces_traceembedding"
            f" USING hnsw ((vector::halfvec({size:d})) halfvec_cosine_ops)"
            f" WITH (m = 16, ef_construction = 64) WHERE dimensions = {size:d}"
        )
    _MADE_INDEXES.add(size)


_STORE = (
    "INSERT INTO traces_traceembedding (project_id, trace_id, model, dimensions, vector)"
    " SELECT %s, d.trace_id, %s, %s, v.vector::halfvec"
    " FROM unnest(%s::text[], %s::text[], %s::text[]) AS v(trace_id, gist, vector)"
    " JOIN traces_searchdocument d ON d.project_id = %s AND d.trace_id = v.trace_id AND d.gist = v.gist"
    " ORDER BY d.trace_id ON CONFLICT (project_id, trace_id) DO UPDATE SET"
    " model = excluded.model, dimensions = excluded.dimensions, vector = excluded.vector"
)
_LOCK = "SELECT FROM traces_searchdocument WHERE project_id = %s AND trace_id = ANY(%s) ORDER BY trace_id FOR UPDATE"
_MARK = (
    "UPDATE traces_searchdocument d SET embedded_with = %s FROM unnest(%s::text[], %s::text[]) AS v(trace_id, gist)"
    " WHERE d.project_id = %s AND d.trace_id = v.trace_id AND d.gist = v.gist"
)


def _store(
    project_id: UUID, key: str, rows: list[tuple[str, str]], vectors: list[list[float]]
) -> None:
    ids, gists = [list(column) for column in zip(*rows, strict=True)]
    texts = [vector_text(vector) for vector in vectors]
    with transaction.atomic(), connection.cursor() as cursor:
        # The reader of news writes chunk after chunk in one transaction, each in the order of ids but all of them in
        # none: only turns keep the two from waiting for each other.
        take_turns(project_id)
        cursor.execute(_LOCK, [project_id, ids])
        cursor.execute(_MARK, [key, ids, gists, project_id])
        cursor.execute(_STORE, [project_id, key, len(vectors[0]), ids, gists, texts, project_id])


def vector_text(vector: Sequence[float]) -> str:
    """As PostgreSQL reads it."""
    return f"[{','.join(f'{value:.5g}' for value in vector)}]"


def embed_waiting(project_id: UUID, *, now: dt.datetime, seconds: float = 60) -> int:
    """Work of `traces.tasks.embed_documents`: what waits, one worker per project, for at most so long."""
    project = Project.objects.select_related("organization").filter(pk=project_id).first()
    lock = f"traces.search.embedding:{project_id}"
    if project is None or not cache.add(lock, 1, timeout=seconds + 60):
        return 0
    done, end = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end and (count := embed_batch(project, now=now)):
            done += count
        if done:
            _note(project_id, "")
    except endpoint.EndpointError as error:
        _note(project_id, str(error))
    finally:
        cache.delete(lock)
    return done


def _note(project_id: UUID, error: str) -> None:
    """What the pages say about the endpoint."""
    SearchState.objects.filter(project=project_id).exclude(embedding_error=error).update(
        embedding_error=error
    )


def see_to(project: Project, *, now: dt.datetime) -> None:
    """Ring for a project whose documents wait; many of them become a job. One query, two when many."""
    count = waiting(project.pk, at_most=JOB_FROM + 1)
    if not count:
        return
    if count <= JOB_FROM:
        ring(project.pk)
        return
    is_open = Job.objects.filter(
        project_id=project.pk, kind=KIND, state__in=(Job.State.QUEUED, Job.State.RUNNING)
    ).exists()
    last = Job.objects.filter(project_id=project.pk, kind=KIND).order_by("-created_at").first()
    # A job that people cancelled is not started again by itself for the same model.
    was_cancelled = (
        last is not None
        and last.state == Job.State.CANCELLED
        and last.params.get("model") == current_model().key
    )
    if not is_open and not was_cancelled:
        start_job(project, now=now)


def start_job(project: Project, *, now: dt.datetime, created_by_id: UUID | None = None) -> Job:
    """Embed everything that waits, with progress."""
    return jobs.start(
        kind=KIND,
        title=f"Embed traces of {project.name} with {current_model().label}",
        organization_id=project.organization_id,
        project_id=project.pk,
        created_by_id=created_by_id,
        total=_waiting(project.pk).count(),
        params={"model": current_model().key},
        now=now,
    )


@jobs.runner(KIND)
def run(job: Job, *, now: dt.datetime) -> jobs.Step:
    """The next batches; ends when nothing waits any more."""
    wanted = Project.objects.filter(pk__in=[job.project_id])
    project = wanted.select_related("organization").first()
    if project is None or job.params.get("model") != current_model().key:
        return jobs.Step(0, None, message="The model was changed meanwhile.")
    done, end = 0, time.monotonic() + 3
    while time.monotonic() < end:
        count = embed_batch(project, now=now)
        done += count
        if not count:
            return jobs.Step(done, None, message="Every trace can be found by meaning.")
        if not current_model().is_lexical:
            break  # nobody's turn waits while an endpoint is asked
    return jobs.Step(done, {"embedded": job.done + done}, message="Embedding, newest traces first")


def question_key(text: str) -> str:
    """Where a question's vector is kept for an hour."""
    digest = hashlib.sha256(f"{current_model().key}\x00{text}".encode()).hexdigest()
    return f"traces.search.question:{digest}"


def embed_question(project: Project, text: str) -> list[float]:
    """The vector of what a reader asks. Raises MeaningUnavailableError when the endpoint or the workers do not answer.

    The offline default takes well under a millisecond here; an endpoint is asked by a worker, waited for up to 5 s.
    """
    if current_model().is_lexical:
        return lexical.embed(text)
    key = question_key(text)
    end = time.monotonic() + WAIT_S
    found = cache.get(key)
    if found is None and not _send(
        "traces.tasks.embed_question", "llm.high", project_id=str(project.pk), text=text
    ):
        raise MeaningUnavailableError("The queue is away; search by words meanwhile.")
    while found is None and time.monotonic() < end:
        time.sleep(POLL_S)
        found = cache.get(key)
    if isinstance(found, list):
        return found
    reason = found if isinstance(found, str) else "No worker answered within 5 s."
    raise MeaningUnavailableError(f"{reason} Search by words meanwhile.")


def answer_question(project_id: UUID, text: str) -> None:
    """Work of `traces.tasks.embed_question`: leave the vector, or why there is none, where the page looks for it."""
    answer: list[float] | str
    try:
        [answer] = endpoint.embed([text], project_id=project_id, now=timezone.now())
    except endpoint.EndpointError as error:
        answer = str(error)
    cache.set(
        question_key(text), answer, timeout=KEEP_QUESTION_S if isinstance(answer, list) else 10
    )
