"""Price rules for programs and people: list, change by way of a preview, price the past again.

People act on their organisations with their role. An API key belongs to one project: it may read the rules its calls
are priced with, and change nothing.
"""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership, Role
from accounts.selectors import person
from core.api.pagination import next_url
from core.errors import DomainError, NotFoundError
from core.models import Job
from costs import price_serializers as shapes
from costs.forms import refuse_unknown
from costs.models import PriceRule
from costs.rule_drafts import RuleDraft, read_draft
from costs.selectors.price_rules import rule_in_force, rule_numbered, rules_page
from costs.services import price_changes, reprice_job
from costs.services.reprice import Scope
from projects.access import HasScope, people_only, project_from_api

LIMIT = 100
_STATE = OpenApiParameter(
    "state",
    OpenApiTypes.STR,
    enum=["active", "removed", "all"],
    description="Default: active, the rules in force.",
)
_BEFORE = OpenApiParameter(
    "before", OpenApiTypes.INT, description="Only rules with a smaller number: the next page."
)


_membership = people_only(
    "it cannot change or list prices of an organisation; read them at /api/v1/projects/<project>/prices."
)


def _rules(request: Request, organization_id: UUID) -> Response:
    """A page of rules, newest first."""
    refuse_unknown(request.query_params, {"state", "before"})
    state, before = request.query_params.get("state", "active"), request.query_params.get("before")
    if state not in ("active", "removed", "all"):
        raise DomainError(
            f"state is {state[:40]!r}; it must be active, removed or all.", fields=["state"]
        )
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 10):
        raise DomainError(
            f"before is {before[:40]!r}; it must be a rule's number.", fields=["before"]
        )
    rows = rules_page(
        organization_id,
        state="" if state == "active" else state,
        kind="",
        q="",
        sort="",
        before=int(before) if before else None,
        limit=LIMIT + 1,
    )
    older = str(rows[LIMIT - 1].number) if len(rows) > LIMIT else ""
    return Response(
        {
            "results": shapes.PriceRuleSerializer(rows[:LIMIT], many=True).data,
            "next": next_url(request, older, "before"),
        }
    )


def _draft(request: Request) -> RuleDraft:
    """The rule in a body. Raises DomainError naming the field; unknown fields are refused."""
    body = _body(request)
    unknown = sorted(str(name)[:80] for name in set(body) - set(shapes.DRAFT_FIELDS))
    if unknown:
        raise DomainError(
            f"{unknown[0]} is unknown; known are {', '.join(shapes.DRAFT_FIELDS)}.", fields=unknown
        )
    return read_draft(body)


def _body(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise DomainError("The body must be a JSON object.")
    return dict(request.data)


def _applied(rule: PriceRule | None, job: Job, status: int) -> Response:
    return Response(
        {
            "rule": shapes.PriceRuleSerializer(rule).data if rule else None,
            "job": shapes.RepricingSerializer(job).data,
        },
        status=status,
    )


class ProjectPricesView(APIView):
    """The rules a project's calls are priced with."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="prices_of_project",
        parameters=[_STATE, _BEFORE],
        responses=shapes.PriceRulePageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Own prices and discounts of the project's organisation, newest first."""
        found = project_from_api(request, project, "read")
        return _rules(request, found.organization_id)


class PriceListView(APIView):
    """An organisation's rules."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="prices_list",
        parameters=[_STATE, _BEFORE],
        responses=shapes.PriceRulePageSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Own prices and discounts, newest first (people only)."""
        return _rules(request, _membership(request, organization).organization_id)

    @extend_schema(
        operation_id="prices_create",
        request=shapes.PriceDraftSerializer,
        responses={201: shapes.AppliedSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Save a rule and price the past again (admins). Preview it first to know what changes."""
        membership = _membership(request, organization, Role.ADMIN)
        plan = price_changes.plan_of(
            organization_id=membership.organization_id, action="add", draft=_draft(request)
        )
        return _apply(request, membership, plan, 201)


def _apply(
    request: Request, membership: Membership, plan: reprice_job.Plan, status: int
) -> Response:
    rule, job = price_changes.apply_plan(
        organization_id=membership.organization_id,
        plan=plan,
        author=person(request),
        now=timezone.now(),
    )
    return _applied(rule, job, status)


class PriceRuleView(APIView):
    """One rule."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="prices_get", responses=shapes.PriceRuleSerializer)
    def get(self, request: Request, organization: str, number: int) -> Response:
        """A rule, also one that was removed."""
        membership = _membership(request, organization)
        rule = rule_numbered(membership.organization_id, number)
        return Response(shapes.PriceRuleSerializer(rule).data)

    @extend_schema(
        operation_id="prices_replace",
        request=shapes.PriceDraftSerializer,
        responses=shapes.AppliedSerializer,
    )
    def put(self, request: Request, organization: str, number: int) -> Response:
        """Replace the rule by a new one (with a new number) and price the past again (admins)."""
        membership = _membership(request, organization, Role.ADMIN)
        rule_in_force(membership.organization_id, number)
        plan = price_changes.plan_of(
            organization_id=membership.organization_id,
            action="replace",
            draft=_draft(request),
            number=number,
        )
        return _apply(request, membership, plan, 200)

    @extend_schema(operation_id="prices_remove", responses=shapes.AppliedSerializer)
    def delete(self, request: Request, organization: str, number: int) -> Response:
        """Remove the rule and price the past again (admins): how a change is undone."""
        membership = _membership(request, organization, Role.ADMIN)
        plan = price_changes.plan_of(
            organization_id=membership.organization_id, action="remove", number=number
        )
        return _apply(request, membership, plan, 200)


class PricePreviewListView(APIView):
    """Previews."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="price_previews_create",
        request=shapes.PreviewRequestSerializer,
        responses={201: shapes.PreviewSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """How many calls and dollars a change would change (admins). Nothing is saved; large ones run as a job."""
        membership = _membership(request, organization, Role.ADMIN)
        body = _body(request)
        plan = _plan(membership.organization_id, body)
        job = price_changes.preview_change(
            organization_id=membership.organization_id,
            plan=plan,
            author=person(request),
            now=timezone.now(),
        )
        return Response(shapes.PreviewSerializer(job).data, status=201)


def _plan(organization_id: UUID, body: dict[str, Any]) -> reprice_job.Plan:
    """The change a body asks about: {"rule"}, {"rule", "number"}, {"number"}, or {} for re-pricing as things are."""
    unknown = sorted(set(map(str, body)) - {"rule", "number"})
    if unknown:
        raise DomainError(
            f"{unknown[0][:80]} is unknown; known are rule and number.", fields=unknown
        )
    rule, number = body.get("rule"), body.get("number")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise DomainError(
            f"number is {str(number)[:40]!r}; it must be a rule's number.", fields=["number"]
        )
    if rule is not None and not isinstance(rule, dict):
        raise DomainError("rule must be an object, as when a rule is created.", fields=["rule"])
    draft = read_draft(rule) if rule is not None else None
    if draft is None and number is None:
        return price_changes.plan_of(
            organization_id=organization_id,
            action="reprice",
            scope=Scope(start=reprice_job.FIRST, end=reprice_job.LAST),
        )
    action = "remove" if draft is None else "replace" if number is not None else "add"
    return price_changes.plan_of(
        organization_id=organization_id, action=action, draft=draft, number=number
    )


def _preview(organization_id: UUID, job_id: UUID) -> Job:
    job = Job.objects.filter(
        pk=job_id, organization_id=organization_id, kind=reprice_job.PREVIEW
    ).first()
    if job is None:
        raise NotFoundError("There is no such preview; make one at …/prices/previews.")
    return job


class PricePreviewView(APIView):
    """One preview."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="price_previews_get", responses=shapes.PreviewSerializer)
    def get(self, request: Request, organization: str, job: UUID) -> Response:
        """How far a preview is, and its result (admins)."""
        membership = _membership(request, organization, Role.ADMIN)
        return Response(shapes.PreviewSerializer(_preview(membership.organization_id, job)).data)


class PriceApplicationView(APIView):
    """Applying a preview."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="price_previews_apply", request=None, responses={201: shapes.AppliedSerializer}
    )
    def post(self, request: Request, organization: str, job: UUID) -> Response:
        """Do exactly what the preview showed (admins); once."""
        membership = _membership(request, organization, Role.ADMIN)
        rule, reprice = price_changes.apply_preview(
            preview=_preview(membership.organization_id, job),
            author=person(request),
            now=timezone.now(),
        )
        return _applied(rule, reprice, 201)
