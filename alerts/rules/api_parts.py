"""What the API of an organisation's rules and that of one project's rules share."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import Alert, AlertKind, Delivery, Severity
from alerts.rules import overview
from alerts.rules import serializers as shapes
from alerts.rules.details import STATES as SHOWN_STATES
from alerts.rules.details import states_page
from alerts.rules.drafts import FIELDS, RuleDraft, read_draft
from alerts.rules.overview import Wanted, listed, read_wanted, rows_of
from alerts.rules.serializers import draft_json, rule_json
from core.api.pagination import limit_of, next_url
from core.errors import DomainError
from costs.forms import refuse_unknown
from projects.models import Project

LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name or of what is watched."),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=AlertKind.values),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in overview.STATES if one]),
    OpenApiParameter("severity", OpenApiTypes.STR, enum=Severity.values),
    OpenApiParameter("channel", OpenApiTypes.UUID, description="Rules that tell this channel."),
    OpenApiParameter("enabled", OpenApiTypes.STR, enum=["on", "off", "muted"]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(overview.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From `next` of the page before."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]
STATES_PAGE = [
    OpenApiParameter(
        "after", OpenApiTypes.STR, description="From `states_next` of the page before."
    ),
    OpenApiParameter("limit", OpenApiTypes.INT, description="States, 1 to 200, default 200."),
]
OF_PROJECT = OpenApiParameter("project", OpenApiTypes.STR, description="Slug or id.")
_NAMES = {one.name for one in LISTING}


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; unknown fields are refused by name."""
    if not isinstance(request.data, dict):
        raise DomainError("The body must be a JSON object.")
    body = dict(request.data)
    unknown = sorted(str(name)[:80] for name in set(body) - set(FIELDS))
    if unknown:
        raise DomainError(
            f"{unknown[0]} is unknown; known are {', '.join(FIELDS)}.", fields=unknown
        )
    return body


def draft_of(request: Request, organization_id: UUID, project: Project | None = None) -> RuleDraft:
    """The rule in a body. At most three queries."""
    return read_draft(organization_id, body_of(request), project=project)


def changed_draft(request: Request, alert: Alert, project: Project | None = None) -> RuleDraft:
    """A stored rule with the fields of a body over it (PATCH)."""
    body = body_of(request)
    if "kind" in body and body["kind"] != alert.kind:
        raise DomainError(
            f"kind is {str(body['kind'])[:40]!r}; it must be {alert.kind}: a rule keeps its kind.",
            fields=["kind"],
        )
    stored = draft_json(rows_of([alert], now=timezone.now())[0])
    return read_draft(alert.organization_id, stored | body, project=project)


def page_of(request: Request, organization_id: UUID, **fixed: Any) -> Response:
    """A page of rules by the query's filters; `fixed` ones cannot be asked otherwise."""
    query = request.query_params
    refuse_unknown(query, _NAMES | ({"project"} - set(fixed)))
    wanted: Wanted = read_wanted({**query.dict(), **fixed})
    rows, after = listed(organization_id, wanted, now=timezone.now(), limit=limit_of(request))
    return Response({"results": [rule_json(row) for row in rows], "next": next_url(request, after)})


def one_of(request: Request, alert: Alert) -> Response:
    """A rule with a page of its states."""
    refuse_unknown(request.query_params, {one.name for one in STATES_PAGE})
    row = rows_of([alert], now=timezone.now())[0]
    after = request.query_params.get("after", "")
    states, further = states_page(alert, limit=limit_of(request, default=SHOWN_STATES), after=after)
    return Response(shapes.detail_json(row, states, next_url(request, further)))


def answer(alert: Alert, status: int = 200) -> Response:
    """A rule that was just written."""
    return Response(rule_json(rows_of([alert], now=timezone.now())[0]), status=status)


def follow_urls(request: Request, sent: list[Delivery], organization: str) -> dict[int, str]:
    """Where to ask what became of each test."""
    return {
        one.pk: request.build_absolute_uri(
            reverse("alert_delivery_api", args=[organization, one.pk])
        )
        for one in sent
    }


def refuse_others(body: Mapping[str, Any], *allowed: str) -> None:
    """Raises DomainError for a field that is not one of these."""
    unknown = sorted(str(name)[:80] for name in set(body) - set(allowed))
    if unknown:
        raise DomainError(
            f"{unknown[0]} is unknown; known are {', '.join(allowed)}.", fields=unknown
        )
