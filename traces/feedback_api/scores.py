"""Scores for programs: send one or a thousand, read, correct, delete."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import DomainError, NotFoundError
from projects.access import project_from_api
from projects.models import Project
from traces.feedback.scores import ScoreOutcome, delete_scores, record_scores
from traces.feedback_api import base
from traces.feedback_api.score_body import BodyProblem, read_item
from traces.feedback_api.shapes import (
    ScoreBatchResultSerializer,
    ScorePageSerializer,
    ScoreSerializer,
    ScoreUploadSerializer,
    StoredScoreSerializer,
    score_data,
)
from traces.ingest.capture import Capture, capture_of
from traces.models import Score
from traces.score_filters import FIELDS, KNOWN_PARAMS, parse_score_filters
from traces.selectors.score_list import score_page

MAX_BATCH = 1_000
_STATUS = {"stored": 201, "updated": 200, "duplicate": 200}


class ScoreListView(base.ReadOrWrite):
    """The project's scores."""

    @extend_schema(
        operation_id="scores_list",
        parameters=[
            base.query("range", "As for traces; default 30d. By the time of the score."),
            *(base.query(name, f"Only scores with this {name}; may be repeated.", many=True) for name in FIELDS),
            base.query("min", "Only scores of at least this value."),
            base.query("max", "Only scores of at most this value."),
            base.query("sort", "-time (default), time, -value or value."),
            *base.PAGE,
        ],
        responses={200: ScorePageSerializer, **base.ERRORS},
    )  # fmt: skip
    def get(self, request: Request, project: str) -> Response:
        """The filtered scores, newest first unless `sort` says otherwise."""
        found = project_from_api(request, project, "read")
        base.refuse_unknown(request, KNOWN_PARAMS - {"after"} | {"limit", "cursor"})
        filters = parse_score_filters(request.query_params, now=timezone.now(), strict=True)
        cursor = request.query_params.get("cursor", "")
        page = score_page(found, filters, after=cursor, limit=base.limit_of(request))
        fixed = {"range": filters.range.explicit} if filters.range.is_preset else {}
        return Response(
            {
                "next": base.next_page(request, page.after, **fixed) if page.after else None,
                "previous": None,
                "results": [score_data(score) for score in page.rows],
            }
        )

    @extend_schema(
        operation_id="scores_create",
        request=ScoreUploadSerializer,
        responses={
            200: StoredScoreSerializer,
            201: StoredScoreSerializer,
            207: ScoreBatchResultSerializer,
            **base.ERRORS,
        },
    )
    def post(self, request: Request, project: str) -> Response:
        """One score, or `{"scores": […]}` with up to 1,000: 207 with one result each.

        The same id again corrects the score; the same content again changes nothing.
        """
        found = base.writable(request, project, "ingest")
        now, actor = timezone.now(), base.actor_of(request)
        body = request.data
        if isinstance(body, dict) and set(body) == {"scores"}:
            results = _record_batch(found, body["scores"], now, actor)
            return Response({"results": results}, status=207)
        try:
            item = read_item(body, author_id=actor.pk if actor else None)
        except BodyProblem as problem:
            raise DomainError(problem.detail, fields=[problem.field]) from None
        [outcome] = record_scores(
            project_id=found.pk, items=[item], now=now, capture=_capture(found)
        )
        if outcome.outcome == "rejected":
            raise DomainError(outcome.detail, fields=[outcome.field])
        score = Score.objects.select_related("author").get(
            project=found.pk, score_id=outcome.score_id
        )
        return Response(
            score_data(score) | {"result": outcome.outcome}, status=_STATUS[outcome.outcome]
        )


def _capture(project: Project) -> Capture:
    return capture_of(project.content_capture, project.masking)


def _record_batch(project: Project, bodies: Any, now: Any, actor: Any) -> list[dict[str, Any]]:
    if not isinstance(bodies, list) or not 1 <= len(bodies) <= MAX_BATCH:
        raise DomainError(f"scores must be a list of 1 to {MAX_BATCH:,} scores.", fields=["scores"])
    items, results = [], {}
    for index, body in enumerate(bodies):
        try:
            items.append((index, read_item(body, author_id=actor.pk if actor else None)))
        except BodyProblem as problem:
            outcome = ScoreOutcome(problem.score_id, "rejected", problem.field, problem.detail)
            results[index] = _result(index, outcome)
    recorded = record_scores(
        project_id=project.pk,
        items=[item for _, item in items],
        now=now,
        capture=_capture(project),
    )
    for (index, _), outcome in zip(items, recorded, strict=True):
        results[index] = _result(index, outcome)
    return [results[index] for index in range(len(bodies))]


def _result(index: int, outcome: ScoreOutcome) -> dict[str, Any]:
    found: dict[str, Any] = {"index": index, "id": outcome.score_id}
    if outcome.outcome == "rejected":
        return found | {
            "status": 400,
            "result": "rejected",
            "code": "invalid",
            "detail": outcome.detail,
            "fields": [outcome.field],
        }
    return found | {"status": _STATUS[outcome.outcome], "result": outcome.outcome}


class ScoreDetailView(base.ReadOrWrite):
    """One score."""

    @extend_schema(operation_id="scores_retrieve", responses={200: ScoreSerializer, **base.ERRORS})
    def get(self, request: Request, project: str, score: str) -> Response:
        """The score."""
        found = project_from_api(request, project, "read")
        row = (
            Score.objects.select_related("author").filter(project=found.pk, score_id=score).first()
        )
        if row is None:
            raise NotFoundError("There is no such score in this project.")
        return Response(score_data(row))

    @extend_schema(operation_id="scores_delete", responses={204: None, **base.ERRORS})
    def delete(self, request: Request, project: str, score: str) -> Response:
        """Delete the score."""
        found = base.writable(request, project, "ingest")
        if not delete_scores(project_id=found.pk, score_ids=[score]):
            raise NotFoundError("There is no such score in this project.")
        return Response(status=204)
