"""The kept answer to a question that means the same, looked for by workers.

Only within the same project, namespace and scope (everything but the words of the last user turn), only among
questions with the same anchors, and only if the words agree (gateway.cache.anchors). What goes wrong here fails no
call: then the provider is asked.
"""

import asyncio
import datetime as dt
import logging
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db import DatabaseError, InterfaceError, connection, transaction

from core import crypto
from gateway.cache.anchors import agree, normal
from gateway.cache.exact import COLUMNS, end_threads, kept_of
from gateway.cache.kept import Hit, hit_of, is_fresh, open_contents
from gateway.cache.meaning import LEAST_LEXICAL, VECTORS, Vector, anchors_of
from gateway.models import CacheThreshold
from gateway.snapshot import Snapshot
from gateway.structs import CachePlan, Call
from projects.models import ContentCapture, Project
from traces.search import embedding, endpoint, lexical

logger = logging.getLogger(__name__)

FEATURE = "LLMLab cache"
# Each keeps a connection to PostgreSQL open.
THREADS = 4
# A call waits no longer than this to be spared; then the provider is asked.
PATIENCE_S = 3.0
# After an endpoint failed it is left alone for so long.
PAUSE_S = 15.0
NEAREST = 5
# Of neighbours in other scopes, before the search gives up.
MAX_SCANNED = 20_000
KNOWN_S = 1.0
MAX_KNOWN = 2_000
MAX_DIMENSIONS = embedding.MAX_DIMENSIONS
_MADE_INDEXES = {lexical.DIMENSIONS}


class Terms(NamedTuple):
    """What holds for a project's answers by meaning now."""

    is_allowed: bool
    tightened: dict[str, float]  # by route


class Found(NamedTuple):
    """A hit, and the threshold it passed."""

    hit: Hit
    threshold: float


class SemanticCache:
    """One per worker process."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._known: dict[str, tuple[float, Terms]] = {}
        self._paused_until = 0.0

    async def lookup(self, call: Call, snapshot: Snapshot, *, now: float) -> Found | None:
        """The nearest kept answer that fits, or None. The question's vector is kept for storing its answer.

        `now`: seconds since 1970. Nothing is asked for a plan without a question.
        """
        plan = call.cache
        if plan is None or not plan.question or not plan.rule.semantic:
            return None
        loop = asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-meaning")
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await loop.run_in_executor(self._threads, self.find, call, snapshot, now)
        except TimeoutError:
            logger.warning("gateway.cache.meaning_slow")
        except (DatabaseError, InterfaceError) as error:
            logger.warning("gateway.cache.meaning_away: %s", type(error).__name__)
        return None

    async def close(self) -> None:
        """Let the threads go."""
        if self._threads is not None:
            threads, self._threads = self._threads, None
            await asyncio.to_thread(end_threads, threads, THREADS)

    def find(self, call: Call, snapshot: Snapshot, now: float) -> Found | None:
        """`lookup`, in a thread. Up to four queries."""
        plan = call.cache
        if plan is None:
            return None
        try:
            terms = self._terms(UUID(hex=snapshot.project_id))
            if not terms.is_allowed:
                return None
            vector = self._vector(plan, UUID(hex=snapshot.project_id), now)
            if vector is None:
                return None
            VECTORS.keep(plan, vector)
            if not plan.reads:
                return None
            is_lexical = embedding.current_model().is_lexical
            threshold = threshold_of(plan, call.decision.route, terms, is_lexical=is_lexical)
            hit = nearest(plan, snapshot, vector, threshold, is_lexical=is_lexical, now=now)
            return Found(hit, threshold) if hit else None
        except (DatabaseError, InterfaceError):
            connection.close()  # the next question begins anew
            raise

    def _terms(self, project_id: UUID) -> Terms:
        """What is allowed, at most `KNOWN_S` old. Two queries, or none."""
        known = self._known.get(project_id.hex)
        if known is not None and time.monotonic() - known[0] < KNOWN_S:
            return known[1]
        terms = terms_of(project_id)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[project_id.hex] = (time.monotonic(), terms)
        return terms

    def _vector(self, plan: CachePlan, project_id: UUID, now: float) -> Vector | None:
        kept = VECTORS.of(plan)
        model = embedding.current_model()
        if kept is not None and kept.model == model.key:
            return kept
        if model.is_lexical:
            values = lexical.embed(normal(plan.question))
            return Vector(model.key, array("f", values)) if any(values) else None
        if time.monotonic() < self._paused_until:
            return None
        try:
            at = dt.datetime.fromtimestamp(now, dt.UTC)
            [values] = endpoint.embed(
                [plan.question], project_id=project_id, now=at, feature=FEATURE
            )
            ensure_index(len(values))
        except endpoint.EndpointError as error:
            self._paused_until = time.monotonic() + PAUSE_S
            logger.warning("gateway.cache.endpoint: %s", error)
            return None
        return Vector(model.key, array("f", values)) if any(values) else None


def terms_of(project_id: UUID) -> Terms:
    """Two queries."""
    capture = Project.objects.filter(pk=project_id).values_list("content_capture", flat=True)
    rows = CacheThreshold.objects.filter(project=project_id).values_list("route", "threshold")
    return Terms(capture.first() not in (None, ContentCapture.OFF), dict(rows))


def threshold_of(plan: CachePlan, route: str, terms: Terms, *, is_lexical: bool) -> float:
    """The strictest of the rule's, the tightened one and what the vectors' maker can do at all."""
    least = LEAST_LEXICAL if is_lexical else 0.0
    return max(plan.rule.threshold, terms.tightened.get(route, 0.0), least)


def ensure_index(size: int) -> None:
    """The index of this length of vectors: made with the first one. Raises EndpointError for one too long."""
    if size in _MADE_INDEXES:
        return
    if not 1 <= size <= MAX_DIMENSIONS:
        raise endpoint.EndpointError(
            f"The model answers with {size} numbers; at most {MAX_DIMENSIONS} can be indexed."
            " Set LLMLAB_EMBEDDINGS_DIMENSIONS or choose another model."
        )
    with transaction.atomic(), connection.cursor() as cursor:
        # Two processes that see the first vector at once take turns.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('gateway_cached_near'))")
        # A whole number from 1 to 4000: DDL takes no parameters.
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS gateway_cached_near_{size:d} ON gateway_cachedresponse"
            f" USING hnsw ((vector::halfvec({size:d})) halfvec_cosine_ops)"
            f" WITH (m = 16, ef_construction = 64) WHERE vector_dims(vector) = {size:d}"
        )
    _MADE_INDEXES.add(size)


def _query(size: int) -> str:
    # Materialised first by distance alone would scan other tenants; iterative scanning keeps every filter exact.
    near = f"c.vector::halfvec({size:d}) <=> %s::halfvec({size:d})"
    return (
        f"SELECT c.key, 1 - ({near}), {COLUMNS} FROM gateway_cachedresponse c"  # noqa: S608 (whole number, constants)
        " WHERE c.project_id = %s AND c.scope = %s AND c.namespace = %s AND c.anchors = %s"
        f" AND c.embedded_with = %s AND c.expires_at > %s AND vector_dims(c.vector) = {size:d}"
        f" ORDER BY {near} LIMIT {NEAREST}"
    )


def nearest(
    plan: CachePlan,
    snapshot: Snapshot,
    vector: Vector,
    threshold: float,
    *,
    is_lexical: bool,
    now: float,
) -> Hit | None:
    """The nearest fresh answer at or above the threshold whose question agrees. One query and two settings."""
    project_id, size = UUID(hex=snapshot.project_id), len(vector.values)
    text = embedding.vector_text(vector.values)
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(f"SET LOCAL hnsw.max_scan_tuples = {MAX_SCANNED:d}")
        cursor.execute(
            _query(size),
            [
                text,
                project_id,
                plan.scope,
                plan.rule.namespace,
                anchors_of(plan.question),
                vector.model,
                at,
                text,
            ],
        )
        rows = cursor.fetchall()
    cipher = crypto.data_cipher(snapshot.data_key)
    for key, similarity, *columns in rows:
        kept = kept_of(*columns)
        # Vectors are stored with half the precision: the same question is 0.9999 alike.
        if min(1.0, similarity + 0.0005) < threshold or not is_fresh(kept, plan, now):
            continue
        try:
            contents = open_contents(cipher, project_id, key, kept.sealed)
        except (crypto.DecryptionError, msgspec.MsgspecError):
            logger.warning("gateway.cache.sealed_otherwise")
            continue
        if agree(plan.question, contents.question, is_lexical=is_lexical):
            alike = min(1.0, float(similarity))
            return hit_of(kept, contents.answer, kind="semantic", similarity=alike)
    return None
