"""An organisation's alert rules for people who are logged in: members read, admins change. Keys use the project's API
(alerts.rules.project_api)."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from accounts.selectors import person
from alerts.measures.registry import measures
from alerts.rules import serializers as shapes
from alerts.rules import services
from alerts.rules.api_parts import (
    LISTING,
    OF_PROJECT,
    STATES_PAGE,
    answer,
    changed_draft,
    draft_of,
    follow_urls,
    one_of,
    page_of,
    refuse_others,
)
from alerts.rules.drafts import ALWAYS
from alerts.rules.overview import rule_of
from alerts.rules.preview import preview_of
from alerts.rules.services import By
from alerts.rules.testing import send_test
from alerts.rules.timing import within
from core.errors import DomainError
from core.ranges import parse_instant
from projects.access import HasScope, people_only

_membership = people_only(
    "it cannot list or change alert rules of an organisation; use /api/v1/projects/<project>/alerts."
)


class RuleListView(APIView):
    """An organisation's alert rules."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alerts_list", parameters=[*LISTING, OF_PROJECT], responses=shapes.RulePageSerializer
    )  # fmt: skip
    def get(self, request: Request, organization: str) -> Response:
        """Rules with where they stand, worst first."""
        return page_of(request, _membership(request, organization).organization_id)

    @extend_schema(
        operation_id="alerts_create", request=shapes.RuleDraftSerializer, responses={201: shapes.RuleSerializer}
    )  # fmt: skip
    def post(self, request: Request, organization: str) -> Response:
        """Save a rule (admins). It is judged from then on."""
        membership = _membership(request, organization, Role.ADMIN)
        draft = draft_of(request, membership.organization_id)
        made = services.create_rule(draft=draft, by=By(person(request)), now=timezone.now())
        return answer(made, 201)


class RuleKindsView(APIView):
    """What rules can watch."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="alerts_kinds", responses=shapes.KindsSerializer)
    def get(self, request: Request, organization: str) -> Response:
        """Every kind with its unit and the fields it takes."""
        _membership(request, organization)
        return Response({"results": [shapes.kind_json(one) for one in measures()], "always": ALWAYS})  # fmt: skip


class RulePreviewView(APIView):
    """Previews."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alerts_preview", request=shapes.RuleDraftSerializer, responses=shapes.RulePreviewSerializer
    )  # fmt: skip
    def post(self, request: Request, organization: str) -> Response:
        """When a rule would have fired in the last 30 days (admins). Nothing is saved."""
        membership = _membership(request, organization, Role.ADMIN)
        draft = draft_of(request, membership.organization_id)
        return Response(shapes.preview_json(preview_of(draft.alert(), timezone.now())))


class RuleView(APIView):
    """One rule."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alerts_get", parameters=STATES_PAGE, responses=shapes.RuleDetailSerializer
    )
    def get(self, request: Request, organization: str, alert: UUID) -> Response:
        """A rule and where it stands about each thing it watches, what fires first, in pages."""
        membership = _membership(request, organization)
        return one_of(request, rule_of(membership.organization_id, alert))

    @extend_schema(
        operation_id="alerts_replace", request=shapes.RuleDraftSerializer, responses=shapes.RuleSerializer
    )  # fmt: skip
    def put(self, request: Request, organization: str, alert: UUID) -> Response:
        """Replace what a rule says (admins). One that watches something else then ends its open incidents."""
        membership = _membership(request, organization, Role.ADMIN)
        found = rule_of(membership.organization_id, alert)
        changed = services.change_rule(
            organization_id=membership.organization_id,
            rule_id=found.pk,
            draft=draft_of(request, membership.organization_id),
            by=By(person(request)),
            now=timezone.now(),
        )
        return answer(changed)

    @extend_schema(
        operation_id="alerts_change", request=shapes.RuleDraftSerializer, responses=shapes.RuleSerializer
    )  # fmt: skip
    def patch(self, request: Request, organization: str, alert: UUID) -> Response:
        """Change some fields of a rule (admins); `{"is_enabled": false}` switches it off and ends its incidents."""
        membership = _membership(request, organization, Role.ADMIN)
        found = rule_of(membership.organization_id, alert)
        changed = services.change_rule(
            organization_id=membership.organization_id,
            rule_id=found.pk,
            draft=changed_draft(request, found),
            by=By(person(request)),
            now=timezone.now(),
        )
        return answer(changed)

    @extend_schema(operation_id="alerts_delete", responses={204: None})
    def delete(self, request: Request, organization: str, alert: UUID) -> Response:
        """Delete a rule (admins). Open incidents end; all of them stay in the history."""
        membership = _membership(request, organization, Role.ADMIN)
        services.delete_rule(
            organization_id=membership.organization_id,
            rule_id=alert,
            by=By(person(request)),
            now=timezone.now(),
        )
        return Response(status=204)


class RuleMuteView(APIView):
    """Times in which nobody is told of a rule."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alerts_mute", request=shapes.MuteSerializer, responses=shapes.RuleSerializer
    )
    def put(self, request: Request, organization: str, alert: UUID) -> Response:
        """Tell nobody of a rule until an instant (admins). It is judged and recorded meanwhile."""
        membership = _membership(request, organization, Role.ADMIN)
        rule_of(membership.organization_id, alert)
        now = timezone.now()
        body = request.data if isinstance(request.data, dict) else {}
        refuse_others(body, "until")
        until = body.get("until")
        if not isinstance(until, str):
            raise DomainError('The body must be {"until": "2026-11-21T18:00Z"}.', fields=["until"])
        muted = services.mute_rule(
            organization_id=membership.organization_id,
            rule_id=alert,
            until=within(parse_instant(until, "until"), now),
            actor=person(request),
            now=now,
        )
        return answer(muted)

    @extend_schema(operation_id="alerts_unmute", responses=shapes.RuleSerializer)
    def delete(self, request: Request, organization: str, alert: UUID) -> Response:
        """Tell again (admins)."""
        membership = _membership(request, organization, Role.ADMIN)
        loud = services.mute_rule(
            organization_id=membership.organization_id,
            rule_id=alert,
            until=None,
            actor=person(request),
            now=timezone.now(),
        )
        return answer(loud)


class RuleTestView(APIView):
    """Test messages."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alerts_test", request=None, responses={202: shapes.RuleTestSerializer}
    )
    def post(self, request: Request, organization: str, alert: UUID) -> Response:
        """Send a test message of a rule, with what it sees now, to its channels (admins). Follow the URLs."""
        membership = _membership(request, organization, Role.ADMIN)
        found = rule_of(membership.organization_id, alert)
        sent = send_test(alert=found, actor=person(request), now=timezone.now())
        urls = follow_urls(request, sent, membership.organization.slug)
        return Response(shapes.sent_json(sent, urls), status=202)
