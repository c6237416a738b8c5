"""The alert rules of one project: its API keys read them with the scope read and change them with the scope admin."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from alerts.models import Alert
from alerts.rules import serializers as shapes
from alerts.rules import services
from alerts.rules.api_parts import (
    LISTING,
    STATES_PAGE,
    answer,
    changed_draft,
    draft_of,
    one_of,
    page_of,
)
from alerts.rules.drafts import RuleDraft
from alerts.rules.overview import rule_of
from alerts.rules.services import By
from core.errors import NotFoundError
from projects.access import HasScope, project_from_api
from projects.authentication import KeyAuth
from projects.models import Project


def _permissions(request: Request) -> list[Any]:
    return [HasScope("read" if request.method in SAFE_METHODS else "admin")()]


def _by(request: Request) -> By:
    if isinstance(request.auth, KeyAuth):
        return By(label=f"API key {request.auth.key_id}")
    return By(request.user if isinstance(request.user, User) else None)


def _rule(project: Project, rule_id: UUID) -> Alert:
    """A rule of this project; those of others and of the whole organisation look like none."""
    found = rule_of(project.organization_id, rule_id)
    if found.project_id != project.pk:
        raise NotFoundError("There is no such alert rule, or it was deleted.")
    return found


class ProjectRulesView(APIView):
    """A project's alert rules."""

    def get_permissions(self) -> list[Any]:
        return _permissions(self.request)

    @extend_schema(
        operation_id="alerts_of_project", parameters=LISTING, responses=shapes.RulePageSerializer
    )
    def get(self, request: Request, project: str) -> Response:
        """Rules of this project alone with where they stand, worst first."""
        found = project_from_api(request, project, "read")
        return page_of(request, found.organization_id, project=str(found.pk))

    @extend_schema(
        operation_id="alerts_create_of_project", request=shapes.RuleDraftSerializer,
        responses={201: shapes.RuleSerializer},
    )  # fmt: skip
    def post(self, request: Request, project: str) -> Response:
        """Save a rule of this project (scope admin)."""
        found = project_from_api(request, project, "admin")
        draft = draft_of(request, found.organization_id, found)
        return answer(services.create_rule(draft=draft, by=_by(request), now=timezone.now()), 201)


class ProjectRuleView(APIView):
    """One rule of a project."""

    def get_permissions(self) -> list[Any]:
        return _permissions(self.request)

    @extend_schema(
        operation_id="alerts_get_of_project",
        parameters=STATES_PAGE,
        responses=shapes.RuleDetailSerializer,
    )
    def get(self, request: Request, project: str, alert: UUID) -> Response:
        """A rule and where it stands."""
        return one_of(request, _rule(project_from_api(request, project, "read"), alert))

    @extend_schema(
        operation_id="alerts_replace_of_project", request=shapes.RuleDraftSerializer, responses=shapes.RuleSerializer
    )  # fmt: skip
    def put(self, request: Request, project: str, alert: UUID) -> Response:
        """Replace what a rule says (scope admin)."""
        found = project_from_api(request, project, "admin")
        rule = _rule(found, alert)
        return self._change(request, rule, draft_of(request, found.organization_id, found))

    @extend_schema(
        operation_id="alerts_change_of_project", request=shapes.RuleDraftSerializer, responses=shapes.RuleSerializer
    )  # fmt: skip
    def patch(self, request: Request, project: str, alert: UUID) -> Response:
        """Change some fields of a rule (scope admin)."""
        found = project_from_api(request, project, "admin")
        rule = _rule(found, alert)
        return self._change(request, rule, changed_draft(request, rule, found))

    def _change(self, request: Request, rule: Alert, draft: RuleDraft) -> Response:
        changed = services.change_rule(
            organization_id=rule.organization_id,
            rule_id=rule.pk,
            draft=draft,
            by=_by(request),
            now=timezone.now(),
        )
        return answer(changed)

    @extend_schema(operation_id="alerts_delete_of_project", responses={204: None})
    def delete(self, request: Request, project: str, alert: UUID) -> Response:
        """Delete a rule (scope admin); its incidents stay in the history."""
        found = project_from_api(request, project, "admin")
        services.delete_rule(
            organization_id=found.organization_id,
            rule_id=_rule(found, alert).pk,
            by=_by(request),
            now=timezone.now(),
        )
        return Response(status=204)
