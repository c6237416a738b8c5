"""The best traces for a question: by words, by meaning, or both (reciprocal rank fusion).

Words rank by how often and where they stand (names weigh more than texts) among the newest that match; meaning by
cosine distance, found through the HNSW index. Both see only what the project lets be searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection, transaction
from django.db.models import F, FloatField, Func, Q, QuerySet, Value
from django.db.models.functions import Cast, Left
from pgvector.django import CosineDistance, HalfVectorField

from projects.models import Project
from traces.models import SearchDocument, Trace, TraceEmbedding
from traces.search import embedding
from traces.search.fulltext import SEARCHABLE, condition, label_of
from traces.search.words import Piece, Query, parse, snippet

Mode = Literal["words", "meaning", "both"]
MODES: tuple[Mode, ...] = ("words", "meaning", "both")
CANDIDATES = 200
# Of Cormack, Clarke and Büttcher (2009); the usual value.
FUSION = 60
SNIPPET_FROM = 64 * 1024
GIST = 200
# pgvector looks at so many neighbours before it gives up on filters.
MAX_SCANNED = 20_000


@dataclass(frozen=True)
class Hit:
    """One found trace. `score` falls from the best hit on; `similarity` is 1 for the same meaning, None by words."""

    trace_id: str
    score: float
    snippet: list[Piece]
    why: str
    similarity: float | None = None


def ranked(
    project: Project,
    text: str,
    *,
    within: QuerySet[Trace],
    mode: Mode = "words",
    limit: int = 50,
    skip: int = 0,
) -> list[Hit]:
    """The best of `within` (traces.selectors.listing.matching without the text) for `text`, best first, from place
    `skip` on; CANDIDATES by words and as many by meaning are ranked at all.

    Up to four queries. Raises MeaningUnavailableError when an embeddings endpoint is configured and does not answer;
    a project whose content is sealed has no meanings, so it finds by words only.
    """
    query = parse(text)
    lists: dict[str, list[tuple[str, float]]] = {}
    if mode != "meaning":
        lists["words"] = _by_words(project, text, query, within)
    if mode != "words" and text.strip() and project.content_capture in SEARCHABLE:
        lists["meaning"] = nearest(
            project, embedding.embed_question(project, text), within=within, limit=CANDIDATES
        )
    return _hits(project, query, lists, limit, skip)


def similar(
    project: Project, trace_id: str, *, within: QuerySet[Trace], limit: int = 20, skip: int = 0
) -> list[Hit]:
    """Traces whose meaning is nearest to this one's, from place `skip` on; empty without its vector. Four queries."""
    own = TraceEmbedding.objects.filter(
        project=project.pk, trace_id=trace_id, model=embedding.current_model().key
    ).first()
    if own is None or project.content_capture not in SEARCHABLE:
        return []
    others = within.exclude(trace_id=trace_id)
    found = nearest(project, list(own.vector), within=others, limit=min(skip + limit, CANDIDATES))
    return _hits(project, Query(), {"meaning": found}, limit, skip)


def _by_words(
    project: Project, text: str, query: Query, within: QuerySet[Trace]
) -> list[tuple[str, float]]:
    if query.is_empty:
        return []
    newest = within.filter(condition(project, text)).order_by("-started_at", "-trace_id")
    ids = list(newest.values_list("trace_id", flat=True)[:CANDIDATES])
    rank = Func(
        F("words"),
        Cast(Value(query.tsquery(label=label_of(project.pk))), _TsQuery()),
        function="ts_rank",
        output_field=FloatField(),
    )
    scored = dict(
        SearchDocument.objects.filter(project=project.pk, trace_id__in=ids)
        .annotate(rank=rank)
        .values_list("trace_id", "rank")
    )
    found = [(trace_id, scored.get(trace_id, 0.0)) for trace_id in ids]
    return sorted(found, key=lambda pair: -pair[1])  # stable: of equals the newest first


class _TsQuery(FloatField):
    """Only names the type of a cast."""

    def db_type(self, connection: Any) -> str:
        return "tsquery"

    cast_db_type = db_type


def nearest(
    project: Project, vector: Sequence[float], *, within: QuerySet[Trace], limit: int
) -> list[tuple[str, float]]:
    """(trace id, similarity) of the nearest traces by the current model, nearest first. One query."""
    if not any(vector):
        return []
    size = len(vector)
    distance = CosineDistance(
        Cast("vector", HalfVectorField(dimensions=size)), list(vector), output_field=FloatField()
    )
    found = (
        TraceEmbedding.objects.filter(
            project=project.pk,
            dimensions=size,
            model=embedding.current_model().key,
            trace_id__in=within.order_by().values("trace_id"),
        )
        .annotate(distance=distance)
        .order_by("distance")
        .values_list("trace_id", "distance")[:limit]
    )
    with transaction.atomic(), connection.cursor() as cursor:
        # The index gives neighbours of all projects; it goes on until enough of this one are found.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(f"SET LOCAL hnsw.max_scan_tuples = {MAX_SCANNED}")
        # Of equals the first by id, so that pages do not share or lose one.
        return [(one, 1 - far) for one, far in sorted(found, key=lambda pair: (pair[1], pair[0]))]


def _hits(
    project: Project,
    query: Query,
    lists: dict[str, list[tuple[str, float]]],
    limit: int,
    skip: int,
) -> list[Hit]:
    scores: dict[str, float] = {}
    reasons: dict[str, list[str]] = {}
    similarity = dict(lists.get("meaning", ()))
    for reason, found in lists.items():
        for place, (trace_id, _) in enumerate(found, 1):
            scores[trace_id] = scores.get(trace_id, 0) + 1 / (FUSION + place)
            reasons.setdefault(trace_id, []).append(reason)
    best = sorted(scores, key=lambda trace_id: -scores[trace_id])[skip : skip + limit]
    shown = snippets(project, best, query)
    return [
        Hit(
            trace_id,
            scores[trace_id],
            shown.get(trace_id, []),
            " and ".join(reasons[trace_id]),
            similarity.get(trace_id),
        )
        for trace_id in best
    ]


def snippets(project: Project, trace_ids: Sequence[str], query: Query) -> dict[str, list[Piece]]:
    """Where the words stand in each trace, marked; for a trace without them the beginning of its gist. One query."""
    allowed = Q() if project.content_capture in SEARCHABLE else Q(has_content=False)
    rows = (
        SearchDocument.objects.filter(allowed, project=project.pk, trace_id__in=list(trace_ids))
        .annotate(start=Left("body", SNIPPET_FROM))
        .values_list("trace_id", "start", "gist")
    )
    found = {}
    for trace_id, body, gist in rows:
        beginning = gist[:GIST] + (" …" if len(gist) > GIST else "")
        found[trace_id] = snippet(body, query) or ([Piece(beginning, False)] if gist else [])
    return found
