"""Budgets for programs and people.

People act on their organisations with their role: members read, admins change. An API key reads the budgets that calls
of its project count towards, with how they stand: what the gateway, the SDKs and pipelines ask before they spend.
"""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from accounts.selectors import person
from core.api.pagination import limit_of, next_url
from core.errors import DomainError
from costs.budgets import serializers as shapes
from costs.budgets import services
from costs.budgets.applying import Applying, applying, standings_mark
from costs.budgets.details import detail_of
from costs.budgets.drafts import FIELDS, BudgetDraft, read_draft
from costs.budgets.overview import SORTS, STATES, listed, read_wanted, rows_of
from costs.budgets.preview import preview_of
from costs.budgets.scopes import Call, counts
from costs.budgets.selectors import budget_of, standing
from costs.budgets.serializers import budget_json
from costs.budgets.teams import team_of_all
from costs.forms import refuse_unknown
from costs.models import Budget, BudgetScope
from projects.access import HasScope, people_only, project_from_api
from projects.authentication import KeyAuth

POLL_SECONDS = 30
KEEP_SECONDS = 3600
MAX_TAGS, MAX_TEXT = 50, 200
_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name or value."),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in STATES if one]),
    OpenApiParameter("scope", OpenApiTypes.STR, enum=BudgetScope.values),
    OpenApiParameter("project", OpenApiTypes.STR, description="Slug or id."),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(SORTS)),
    OpenApiParameter("after", OpenApiTypes.UUID, description="The last budget of the page before."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]
_CALL = [
    OpenApiParameter("user", OpenApiTypes.STR),
    OpenApiParameter("model", OpenApiTypes.STR),
    OpenApiParameter("agent", OpenApiTypes.STR),
    OpenApiParameter("tag", OpenApiTypes.STR, many=True, description="May be repeated; a team is team:<name>."),
    OpenApiParameter("key", OpenApiTypes.UUID, description="Default: the API key that asks."),
    OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The last ETag."),
]  # fmt: skip


_membership = people_only(
    "it cannot list or change budgets of an organisation; read them at /api/v1/projects/<project>/budgets."
)


def _body(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise DomainError("The body must be a JSON object.")
    return dict(request.data)


def _draft(request: Request, organization_id: UUID) -> BudgetDraft:
    """The budget in a body. Raises DomainError naming the field; unknown fields are refused."""
    body = _body(request)
    unknown = sorted(str(name)[:80] for name in set(body) - set(FIELDS))
    if unknown:
        raise DomainError(
            f"{unknown[0]} is unknown; known are {', '.join(FIELDS)}.", fields=unknown
        )
    return read_draft(organization_id, body)


def _answer(budget: Budget, status: int = 200) -> Response:
    return Response(budget_json(rows_of([standing(budget, timezone.now())])[0]), status=status)


class BudgetListView(APIView):
    """An organisation's budgets."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="budgets_list", parameters=_LISTING, responses=shapes.BudgetPageSerializer
    )
    def get(self, request: Request, organization: str) -> Response:
        """Budgets with how they stand, most used first (people only)."""
        membership = _membership(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        rows, after = listed(
            membership.organization_id,
            read_wanted(request.query_params),
            now=timezone.now(),
            limit=limit_of(request),
        )
        results = [budget_json(row) for row in rows]
        return Response({"results": results, "next": next_url(request, after)})

    @extend_schema(
        operation_id="budgets_create", request=shapes.BudgetDraftSerializer, responses={201: shapes.BudgetSerializer}
    )  # fmt: skip
    def post(self, request: Request, organization: str) -> Response:
        """Save a budget (admins). Overlaps are allowed: the strictest wins."""
        membership = _membership(request, organization, Role.ADMIN)
        draft = _draft(request, membership.organization_id)
        made = services.create_budget(draft=draft, author=person(request), now=timezone.now())
        return _answer(made, 201)


class BudgetView(APIView):
    """One budget."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="budgets_get", responses=shapes.BudgetSerializer)
    def get(self, request: Request, organization: str, budget: UUID) -> Response:
        """A budget and how it stands."""
        membership = _membership(request, organization)
        return _answer(budget_of(membership.organization_id, budget))

    @extend_schema(
        operation_id="budgets_replace", request=shapes.BudgetDraftSerializer, responses=shapes.BudgetSerializer
    )  # fmt: skip
    def put(self, request: Request, organization: str, budget: UUID) -> Response:
        """Replace what a budget says (admins); what it said before stays as history."""
        membership = _membership(request, organization, Role.ADMIN)
        found = budget_of(membership.organization_id, budget)
        changed = services.change_budget(
            organization_id=membership.organization_id,
            budget_id=found.pk,
            draft=_draft(request, membership.organization_id),
            author=person(request),
            now=timezone.now(),
        )
        return _answer(changed)

    @extend_schema(
        operation_id="budgets_pause", request=shapes.BudgetPauseSerializer, responses=shapes.BudgetSerializer
    )  # fmt: skip
    def patch(self, request: Request, organization: str, budget: UUID) -> Response:
        """Let a budget rest, or take it up again (admins)."""
        membership = _membership(request, organization, Role.ADMIN)
        found, body = budget_of(membership.organization_id, budget), _body(request)
        if set(body) != {"is_paused"} or not isinstance(body["is_paused"], bool):
            raise DomainError(
                'The body must be {"is_paused": true} or false.', fields=["is_paused"]
            )
        changed = services.pause_budget(
            organization_id=membership.organization_id,
            budget_id=found.pk,
            is_paused=body["is_paused"],
            author=person(request),
            now=timezone.now(),
        )
        return _answer(changed)

    @extend_schema(operation_id="budgets_delete", responses={204: None})
    def delete(self, request: Request, organization: str, budget: UUID) -> Response:
        """Delete a budget and its history (admins)."""
        membership = _membership(request, organization, Role.ADMIN)
        services.delete_budget(
            organization_id=membership.organization_id, budget_id=budget, author=person(request)
        )
        return Response(status=204)


class BudgetHistoryView(APIView):
    """One budget's past."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="budgets_history", responses=shapes.BudgetHistorySerializer)
    def get(self, request: Request, organization: str, budget: UUID) -> Response:
        """Its last periods, and when thresholds and the limit were reached in the last 90 days."""
        membership = _membership(request, organization)
        found = detail_of(budget_of(membership.organization_id, budget), timezone.now())
        return Response(shapes.BudgetHistorySerializer(found).data)


class BudgetPreviewView(APIView):
    """Previews."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="budgets_preview", request=shapes.BudgetDraftSerializer, responses=shapes.BudgetPreviewSerializer
    )  # fmt: skip
    def post(self, request: Request, organization: str) -> Response:
        """When a budget would have fired in the last 90 days (admins). Nothing is saved."""
        membership = _membership(request, organization, Role.ADMIN)
        found = preview_of(_draft(request, membership.organization_id), timezone.now())
        shown = {"times": len(found.crossings)} | {
            name: getattr(found, name)
            for name in ("words", "details", "unpriced_calls", "crossings")
        }
        return Response(shapes.BudgetPreviewSerializer(shown).data)


class ProjectBudgetsView(APIView):
    """The budgets a project's calls count towards."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="budgets_of_project", parameters=_CALL, responses={200: shapes.ApplyingSerializer, 304: None}
    )  # fmt: skip
    def get(self, request: Request, project: str) -> Response:
        """Running budgets with how they stand, strictest first; of one call, when user, model, agent or tags say which.

        Made for polling: with `If-None-Match` an unchanged answer is a 304 that costs the server one small query.
        """
        found = project_from_api(request, project, "read")
        call, is_one = _call(request, found.pk)
        now = timezone.now()
        asked = repr((call, is_one)).encode("utf-8", "surrogatepass")
        mark = (
            f"{standings_mark(found.organization_id, now)}{hashlib.sha256(asked).hexdigest()[:16]}"
        )
        headers = {"ETag": f'"{mark}"', "Cache-Control": "private, no-cache"}
        if f'"{mark}"' in request.headers.get("If-None-Match", ""):
            return Response(status=304, headers=headers)
        key = f"costs:budgets:2:{found.pk.hex}:{mark}"
        body = cache.get(key)
        if body is None:
            answer = applying(found.organization_id, call, now, only_counting=is_one)
            shown = shapes.ApplyingSerializer(
                {
                    "results": [],
                    "strictest": answer.strictest.budget.pk if answer.strictest else None,
                    "remaining_usd": answer.remaining_usd,
                    "is_blocked": answer.is_blocked,
                    "as_of": now,
                    "poll_after_seconds": POLL_SECONDS,
                }
            ).data
            body = {**shown, "results": _told(answer, Call(found.pk, key=call.key))}
            cache.set(key, body, KEEP_SECONDS)
        return Response(body, headers=headers)


def _told(answer: Applying, anyone: Call) -> list[dict[str, Any]]:
    """The budgets, and what a program can tell of them by itself. `anyone`: of its calls only project and key."""
    if answer.rules:
        team = team_of_all(answer.rules, anyone.project_id, anyone.key)
        anyone = replace(anyone, team=team)
    return [
        budget_json(row)
        | {
            "counts_every_call": counts(row.budget, anyone),
            "counts_by_rules": answer.rules is not None and row.budget.scope == BudgetScope.TEAM,
        }
        for row in answer.rows
    ]


def _call(request: Request, project_id: UUID) -> tuple[Call, bool]:
    """The call that is asked about, and whether one was described at all."""
    query = request.query_params
    refuse_unknown(query, {"user", "model", "agent", "tag", "key"})
    tags = query.getlist("tag")
    if len(tags) > MAX_TAGS:
        raise DomainError(f"tag is given {len(tags)} times; at most {MAX_TAGS}.", fields=["tag"])
    for name in ("user", "model", "agent", "tag", "key"):
        if any(len(one) > MAX_TEXT or "\x00" in one for one in query.getlist(name)):
            raise DomainError(
                f"{name} has at most {MAX_TEXT} characters and no NUL.", fields=[name]
            )
    key = query.get("key", "")
    if not key and isinstance(request.auth, KeyAuth):
        key = str(request.auth.key_id)
    call = Call(
        project_id, query.get("user", ""), key, query.get("model", ""), query.get("agent", ""),
        tuple(sorted(set(tags))),
    )  # fmt: skip
    return call, bool({"user", "model", "agent", "tag", "key"} & set(query))
