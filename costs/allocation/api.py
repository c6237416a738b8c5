"""Teams, rules and statements for programs, by session: they belong to an organisation, keys to a project."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from accounts.selectors import person
from core.api.serializers import StrictSerializer
from core.errors import DomainError
from costs.allocation import selectors, services, statements
from costs.allocation.services import TeamDraft
from costs.forms import refuse_unknown
from costs.models import LineKind, RuleField, SplitMethod, Statement, Team
from costs.serializers import AmountField
from projects.access import HasScope, people_only


class TeamSerializer(StrictSerializer):
    """A team, or a shared pool whose cost is passed on."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(max_length=80)
    cost_centre = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    is_shared = serializers.BooleanField(required=False, default=False)
    method = serializers.ChoiceField(
        choices=SplitMethod.choices, required=False, default=SplitMethod.SHARE
    )
    percents = serializers.DictField(
        child=serializers.DecimalField(max_digits=9, decimal_places=6, min_value=0, max_value=100),
        required=False,
        help_text="Of a pool with fixed shares: team id → percent, together at most 100",
    )
    archived_at = serializers.DateTimeField(read_only=True)


class RuleSerializer(StrictSerializer):
    """Calls that fit belong to the team; of several rules the lowest position counts."""

    id = serializers.UUIDField(read_only=True)
    team = serializers.UUIDField(source="team_id")
    position = serializers.IntegerField(read_only=True)
    field = serializers.ChoiceField(choices=RuleField.choices)
    value = serializers.CharField(
        max_length=200, help_text="A tag or user, * for any characters; the id of a key or project"
    )


class StatementSerializer(serializers.Serializer[Any]):
    """A month. The lines add up to bill_usd + adjusted_usd."""

    month = serializers.DateField(format="%Y-%m")
    is_closed = serializers.SerializerMethodField()
    closed_at = serializers.DateTimeField(allow_null=True)
    computed_at = serializers.DateTimeField(allow_null=True)
    bill_usd = AmountField()
    adjusted_usd = AmountField()
    unpriced_calls = serializers.IntegerField()
    notes = serializers.ListField(child=serializers.CharField())

    def get_is_closed(self, statement: Statement) -> bool:
        return statement.closed_at is not None


class StatementLineSerializer(serializers.Serializer[Any]):
    """One amount. An empty team is unassigned cost."""

    kind = serializers.ChoiceField(choices=LineKind.choices)
    team = serializers.CharField(source="team_name")
    cost_centre = serializers.CharField()
    provider = serializers.CharField()
    project = serializers.CharField(source="project_name")
    pool = serializers.CharField(source="pool_name")
    adjusts_month = serializers.DateField(format="%Y-%m", allow_null=True)
    is_billed = serializers.BooleanField()
    amount_usd = AmountField()


class StatementDetailSerializer(StatementSerializer):
    lines = StatementLineSerializer(many=True, source="shown_lines")


class TeamListSerializer(serializers.Serializer[Any]):
    results = TeamSerializer(many=True)


class RuleListSerializer(serializers.Serializer[Any]):
    results = RuleSerializer(many=True)


class StatementListSerializer(serializers.Serializer[Any]):
    results = StatementSerializer(many=True)


_membership = people_only("teams and statements belong to the organisation: use a session.")


def _body(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    found: dict[str, Any] = serializer.validated_data
    return found


def _draft(request: Request) -> TeamDraft:
    data = _body(TeamSerializer(data=request.data))
    return TeamDraft(
        data["name"],
        data["cost_centre"],
        data["is_shared"],
        data["method"],
        data.get("percents", {}),
    )


def _shown(team: Team) -> dict[str, Any]:
    shown: dict[str, Any] = TeamSerializer(team).data
    return shown


class TeamListView(APIView):
    """An organisation's teams."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="teams",
        parameters=[OpenApiParameter("state", OpenApiTypes.STR, enum=["archived", "all"])],
        responses=TeamListSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Teams by name; the archived ones when asked."""
        membership = _membership(request, organization)
        refuse_unknown(request.query_params, {"state"})
        state = request.query_params.get("state", "")
        if state not in ("", "archived", "all"):
            raise DomainError(
                f"state is {state[:40]!r}; it must be archived or all.", fields=["state"]
            )
        teams = selectors.teams_in(membership.organization_id, state=state)
        return Response({"results": [_shown(team) for team in teams]})

    @extend_schema(
        operation_id="team_create", request=TeamSerializer, responses={201: TeamSerializer}
    )
    def post(self, request: Request, organization: str) -> Response:
        """Add a team."""
        membership = _membership(request, organization, Role.ADMIN)
        team = services.save_team(
            organization_id=membership.organization_id,
            draft=_draft(request),
            actor=person(request),
            now=timezone.now(),
        )
        return Response(_shown(team), status=201)


class TeamDetailView(APIView):
    """One team."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="team", responses=TeamSerializer)
    def get(self, request: Request, organization: str, team_id: UUID) -> Response:
        """The team."""
        membership = _membership(request, organization)
        return Response(_shown(services.team_of(membership.organization_id, team_id)))

    @extend_schema(operation_id="team_change", request=TeamSerializer, responses=TeamSerializer)
    def put(self, request: Request, organization: str, team_id: UUID) -> Response:
        """Replace what the team is."""
        membership = _membership(request, organization, Role.ADMIN)
        team = services.save_team(
            organization_id=membership.organization_id,
            draft=_draft(request),
            actor=person(request),
            now=timezone.now(),
            team_id=team_id,
        )
        return Response(_shown(team))

    @extend_schema(operation_id="team_archive", responses={204: None})
    def delete(self, request: Request, organization: str, team_id: UUID) -> Response:
        """Archive the team: its rules no longer hold, statements keep its name."""
        membership = _membership(request, organization, Role.ADMIN)
        services.archive_team(
            organization_id=membership.organization_id,
            team_id=team_id,
            actor=person(request),
            now=timezone.now(),
        )
        return Response(status=204)


class AllocationRuleListView(APIView):
    """An organisation's rules."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="allocation_rules", responses=RuleListSerializer)
    def get(self, request: Request, organization: str) -> Response:
        """The rules in their order."""
        rows = selectors.rule_rows(_membership(request, organization).organization_id)
        return Response({"results": [RuleSerializer(row.rule).data for row in rows]})

    @extend_schema(
        operation_id="allocation_rule_create",
        request=RuleSerializer,
        responses={201: RuleSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Add a rule after the others."""
        membership = _membership(request, organization, Role.ADMIN)
        data = _body(RuleSerializer(data=request.data))
        rule = services.add_rule(
            organization_id=membership.organization_id,
            **data,
            actor=person(request),
            now=timezone.now(),
        )
        return Response(RuleSerializer(rule).data, status=201)


class AllocationRuleView(APIView):
    """One rule."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="allocation_rule_delete", responses={204: None})
    def delete(self, request: Request, organization: str, rule_id: UUID) -> Response:
        """Remove the rule; its calls fall to the next that fits."""
        membership = _membership(request, organization, Role.ADMIN)
        services.remove_rule(
            organization_id=membership.organization_id,
            rule_id=rule_id,
            actor=person(request),
            now=timezone.now(),
        )
        return Response(status=204)


class StatementListView(APIView):
    """An organisation's statements."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="statements", responses=StatementListSerializer)
    def get(self, request: Request, organization: str) -> Response:
        """Months, newest first."""
        rows = selectors.statements_of(_membership(request, organization).organization_id)
        return Response({"results": StatementSerializer(rows, many=True).data})


class StatementDetailView(APIView):
    """One month."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="statement", responses=StatementDetailSerializer)
    def get(self, request: Request, organization: str, month: str) -> Response:
        """The month with its lines."""
        membership = _membership(request, organization)
        found: Any = selectors.statement_of(membership.organization_id, selectors.read_month(month))
        found.shown_lines = selectors.lines_of(found)
        return Response(StatementDetailSerializer(found).data)


class StatementClosureView(APIView):
    """Closing a month."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="statement_close", request=None, responses={201: StatementSerializer}
    )
    def post(self, request: Request, organization: str, month: str) -> Response:
        """Lock the month for ever; later corrections go into the first open month."""
        membership = _membership(request, organization, Role.ADMIN)
        found = statements.close_month(
            organization_id=membership.organization_id,
            month=selectors.read_month(month),
            actor=person(request),
            now=timezone.now(),
        )
        return Response(StatementSerializer(found).data, status=201)
