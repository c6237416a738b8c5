"""Search for programs: the best traces for a question."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.pagination import limit_of
from core.ranges import parse_range
from projects.access import HasScope, project_from_api
from traces import search
from traces.filters import InvalidFilterError
from traces.models import Trace
from traces.serializers import ErrorSerializer

MAX_LIMIT = 50
MAX_TEXT = 200
_ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}
_KNOWN = ("q", "like", "match", "range", "limit")


class SearchHitSerializer(serializers.Serializer[Any]):
    """One found trace."""

    trace_id = serializers.CharField()
    score = serializers.FloatField(help_text="Falls from the best hit on.")
    found_by = serializers.CharField(help_text="words, meaning, or words and meaning")
    similarity = serializers.FloatField(
        allow_null=True, help_text="1: the same; null: found by words."
    )
    snippet = serializers.CharField()


class SearchResultSerializer(serializers.Serializer[Any]):
    """The best traces, and what the search could see."""

    results = SearchHitSerializer(many=True)
    searches_content = serializers.BooleanField(
        help_text="False: the project's inputs and outputs are not searchable."
    )
    model = serializers.CharField(help_text="Who makes the vectors.")
    lag_seconds = serializers.IntegerField(help_text="How far reading new traces is behind.")


def _text(name: str, text: str, enum: Any = None) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, enum=enum)


class SearchView(APIView):
    """The best traces for a question."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="search_list",
        parameters=[
            _text("q", 'refund "late delivery" -test OR escalat*; at most 200 characters.'),
            _text("like", "A trace id instead of q: the traces nearest to it in meaning."),
            _text("match", "Default words.", enum=list(search.MODES)),
            _text("range", "As for traces; default 30d."),
            OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 50; default 20."),
        ],
        responses={200: SearchResultSerializer, **_ERRORS, 503: ErrorSerializer},
    )
    def get(self, request: Request, project: str) -> Response:
        """Best first. 503 when an embeddings endpoint is configured and does not answer."""
        found = project_from_api(request, project, "read")
        params = request.query_params
        if unknown := [name[:40] for name in params if name not in _KNOWN][:5]:
            raise InvalidFilterError(
                f"{', '.join(unknown)} is not a parameter here; known are {', '.join(_KNOWN)}.",
                fields=unknown,
            )
        text, like = (params.get(name, "").replace("\x00", "").strip() for name in ("q", "like"))
        if bool(text) == bool(like) or len(text) > MAX_TEXT or len(like) > 128:
            raise InvalidFilterError(
                f"Give either q (1 to {MAX_TEXT} characters) or like (a trace id).",
                fields=["q", "like"],
            )
        now = timezone.now()
        period = parse_range(params.get("range", ""), now=now, default="30d")
        within = Trace.objects.filter(
            project=found.pk, started_at__gte=period.start, started_at__lt=period.end
        )
        limit, mode = (
            limit_of(request, default=20, maximum=MAX_LIMIT),
            _mode(params.get("match", "words")),
        )
        if like:
            hits = search.similar(found, like, within=within, limit=limit)
        else:
            hits = search.ranked(found, text, within=within, mode=mode, limit=limit)
        status = search.status_of(found, now=now)
        return Response(
            {
                "results": [_hit(hit) for hit in hits],
                "searches_content": status.has_content,
                "model": status.model,
                "lag_seconds": status.reading.lag_s,
            }
        )


def _hit(hit: search.Hit) -> dict[str, Any]:
    return {
        "trace_id": hit.trace_id,
        "score": round(hit.score, 6),
        "found_by": hit.why,
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "snippet": "".join(piece.text for piece in hit.snippet),
    }


def _mode(text: str) -> search.Mode:
    for mode in search.MODES:
        if text == mode:
            return mode
    raise InvalidFilterError(
        f"match is {text[:40]!r}; it must be one of {', '.join(search.MODES)}.", fields=["match"]
    )
