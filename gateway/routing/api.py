"""Routes and gateway settings of one project: read with the scope read, changed with the scope admin."""

import random
from typing import Any
from uuid import UUID

import msgspec
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from core.errors import DomainError
from costs.forms import refuse_unknown
from gateway.models import Route
from gateway.routing import lists, services
from gateway.routing import serializers as shapes
from gateway.routing.dry_run import Trial, run_dry
from gateway.routing.lists import Wanted, connections_of, listed, read_wanted
from gateway.routing.services import By, route_of
from gateway.structs import Dialect
from projects.access import HasScope, project_from_api
from projects.api import valid
from projects.authentication import KeyAuth
from projects.models import Project

_FIELDS = ("name", "note", "rules", "is_enabled")
_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name, connection or model."),
    OpenApiParameter("state", OpenApiTypes.STR, enum=["on", "off"]),
    OpenApiParameter("choose", OpenApiTypes.STR, enum=[one for one in lists.CHOOSE if one]),
    OpenApiParameter("connection", OpenApiTypes.UUID, description="Routes that lead to it."),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(lists.SORTS)),
]


class _View(APIView):
    """What they all need."""

    # A dry run changes nothing.
    is_reading = False

    def get_permissions(self) -> list[Any]:
        return [HasScope(self._scope())()]

    def _scope(self) -> str:
        return "read" if self.is_reading or self.request.method in SAFE_METHODS else "admin"

    def project(self, request: Request, project: str) -> Project:
        return project_from_api(request, project, self._scope())


def _by(request: Request) -> By:
    if isinstance(request.auth, KeyAuth):
        return By(label=f"API key {request.auth.key_id}")
    return By(request.user if isinstance(request.user, User) else None)


def _body(request: Request, known: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object that was sent. Raises DomainError naming a field that is not known."""
    if not isinstance(request.data, dict):
        raise DomainError("The body must be a JSON object.")
    body = dict(request.data)
    unknown = sorted(str(name)[:80] for name in set(body) - set(known))
    if unknown:
        said = f"{unknown[0]} is unknown; known are {', '.join(known)}."
        raise DomainError(said, fields=unknown)
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise DomainError(f"{name} must be text.", fields=[name])
    return value


def _rules(body: dict[str, Any]) -> dict[str, Any]:
    rules = body.get("rules")
    if not isinstance(rules, dict):
        raise DomainError("rules must be an object.", fields=["rules"])
    return rules


def _switch(body: dict[str, Any]) -> bool | None:
    value = body.get("is_enabled")
    if value is not None and not isinstance(value, bool):
        raise DomainError("is_enabled must be true or false.", fields=["is_enabled"])
    return value


def _answer(project: Project, route: Route, status: int = 200) -> Response:
    """A route as it is stored now."""
    rows = listed(project, Wanted(), connections_of(project), now=timezone.now())
    row = next(one for one in rows if one.route.pk == route.pk)
    return Response(shapes.row_json(row), status=status)


class RouteListView(_View):
    """A project's routes."""

    @extend_schema(
        operation_id="gateway_routes_list",
        parameters=_LISTING,
        responses=shapes.RouteListSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """All routes with their rules and their calls of the last 24 hours."""
        found = self.project(request, project)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        wanted = read_wanted(request.query_params.dict())
        rows = listed(found, wanted, connections_of(found), now=timezone.now())
        return Response({"results": [shapes.row_json(row) for row in rows]})

    @extend_schema(
        operation_id="gateway_routes_create",
        request=shapes.RouteDraftSerializer,
        responses={201: shapes.RouteSerializer},
    )
    def post(self, request: Request, project: str) -> Response:
        """Save a route (scope admin)."""
        found = self.project(request, project)
        body, by, now = _body(request, _FIELDS), _by(request), timezone.now()
        is_enabled = _switch(body)
        route = services.create_route(
            project=found,
            name=_text(body, "name"),
            note=_text(body, "note"),
            rules=_rules(body),
            is_enabled=is_enabled is not False,
            by=by,
            now=now,
        )
        return _answer(found, route, 201)


class RouteView(_View):
    """One route."""

    @extend_schema(operation_id="gateway_routes_get", responses=shapes.RouteSerializer)
    def get(self, request: Request, project: str, gateway_route: UUID) -> Response:
        """A route with its rules."""
        found = self.project(request, project)
        return _answer(found, route_of(found, gateway_route))

    @extend_schema(
        operation_id="gateway_routes_replace",
        request=shapes.RouteDraftSerializer,
        responses=shapes.RouteSerializer,
    )
    def put(self, request: Request, project: str, gateway_route: UUID) -> Response:
        """Replace what a route says (scope admin)."""
        found = self.project(request, project)
        body = _body(request, _FIELDS)
        return self._change(request, found, gateway_route, {"note": "", **body})

    @extend_schema(
        operation_id="gateway_routes_change",
        request=shapes.RouteDraftSerializer,
        responses=shapes.RouteSerializer,
    )
    def patch(self, request: Request, project: str, gateway_route: UUID) -> Response:
        """Change some of it (scope admin); of `rules` the given fields are set, others stay."""
        found = self.project(request, project)
        route, body = route_of(found, gateway_route), _body(request, _FIELDS)
        stored = {"name": route.name, "note": route.note}
        if "rules" in body:
            body["rules"] = {**route.rules, **_rules(body)}
        return self._change(request, found, gateway_route, {**stored, "rules": route.rules, **body})

    def _change(
        self, request: Request, project: Project, route_id: UUID, body: dict[str, Any]
    ) -> Response:
        route = services.change_route(
            project=project,
            route_id=route_id,
            name=_text(body, "name"),
            note=_text(body, "note"),
            rules=_rules(body),
            is_enabled=_switch(body),
            by=_by(request),
            now=timezone.now(),
        )
        return _answer(project, route)

    @extend_schema(operation_id="gateway_routes_delete", responses={204: None})
    def delete(self, request: Request, project: str, gateway_route: UUID) -> Response:
        """Delete a route (scope admin)."""
        found = self.project(request, project)
        services.delete_route(
            project=found, route_id=gateway_route, by=_by(request), now=timezone.now()
        )
        return Response(status=204)


class RouteCopyView(_View):
    """A copy of a route."""

    @extend_schema(
        operation_id="gateway_routes_copy", request=None, responses={201: shapes.RouteSerializer}
    )
    def post(self, request: Request, project: str, gateway_route: UUID) -> Response:
        """The same under another name, switched off (scope admin)."""
        found = self.project(request, project)
        made = services.duplicate_route(
            project=found, route_id=gateway_route, by=_by(request), now=timezone.now()
        )
        return _answer(found, made, 201)


class DryRunView(_View):
    """A request that is not sent."""

    is_reading = True

    @extend_schema(
        operation_id="gateway_dry_run",
        request=shapes.TrialSerializer,
        responses=shapes.OutcomeSerializer,
    )
    def post(self, request: Request, project: str) -> Response:
        """Where a request would go and why. Nothing is sent and nothing is counted."""
        found = self.project(request, project)
        _body(request, tuple(shapes.TrialSerializer().fields))
        data = valid(shapes.TrialSerializer(data=request.data))
        data["dialect"] = Dialect(data.get("dialect") or Dialect.CHAT)
        data["tags"] = tuple(data.get("tags", ()))
        data.setdefault("draw", random.random())  # noqa: S311 - spreads load
        outcome = run_dry(found, Trial(**data), now=timezone.now())
        return Response(shapes.outcome_json(outcome))


class SettingsView(_View):
    """What holds for all calls of a project."""

    @extend_schema(operation_id="gateway_settings_get", responses=shapes.SettingsSerializer)
    def get(self, request: Request, project: str) -> Response:
        """The settings, defaults included."""
        found = self.project(request, project)
        return Response(_settings_json(services.rules_of_project(found.pk)))

    @extend_schema(
        operation_id="gateway_settings_change",
        request=shapes.SettingsSerializer,
        responses=shapes.SettingsSerializer,
    )
    def patch(self, request: Request, project: str) -> Response:
        """Set the given fields (scope admin); others stay."""
        found = self.project(request, project)
        body = _body(request, tuple(shapes.SettingsSerializer().fields))
        read = services.change_settings(
            project=found, changes=body, by=_by(request), now=timezone.now()
        )
        return Response(_settings_json(read))


def _settings_json(rules: Any) -> dict[str, Any]:
    """All fields, also those that are as by default."""
    shown = {name: getattr(rules, name) for name in rules.__struct_fields__}
    for name in ("cache", "compact"):
        part = shown[name]
        shown[name] = {field: getattr(part, field) for field in part.__struct_fields__}
    shown["guards"] = msgspec.to_builtins(rules.guards)
    return shown
