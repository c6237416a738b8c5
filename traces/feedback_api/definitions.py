"""Score definitions for programs."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import NotFoundError
from projects.access import HasScope, project_from_api
from projects.models import Project
from traces.feedback import definitions as services
from traces.feedback.definitions import Rules
from traces.feedback_api import base
from traces.feedback_api.bodies import DefinitionBody, DefinitionChangeBody, DefinitionShape
from traces.feedback_api.shapes import definition_data
from traces.models import ScoreDefinition
from traces.selectors.feedback import score_definitions


def _who(request: Request) -> dict[str, Any]:
    return {"actor": base.actor_of(request), "actor_label": base.label_of(request)}


class DefinitionListView(base.ReadOrWrite):
    """What scores of each name must look like."""

    write_scope = "admin"

    @extend_schema(
        operation_id="score_definitions_list",
        responses={200: DefinitionShape(many=True), **base.ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """All of them (at most 200), by name."""
        found = project_from_api(request, project, "read")
        return Response([definition_data(one) for one in score_definitions(found)])

    @extend_schema(
        operation_id="score_definitions_create",
        request=DefinitionBody,
        responses={201: DefinitionShape, **base.ERRORS},
    )
    def post(self, request: Request, project: str) -> Response:
        """Define a name; 409 when it is defined already."""
        found = base.writable(request, project, "admin")
        body = base.valid(DefinitionBody(data=request.data))
        definition = services.define_score(
            project=found,
            name=body.pop("name"),
            data_type=body.pop("type"),
            rules=Rules(**body),
            **_who(request),
        )
        return Response(definition_data(definition), status=201)


class DefinitionDetailView(APIView):
    """One definition."""

    permission_classes = [HasScope("admin")]

    @extend_schema(
        operation_id="score_definitions_change",
        request=DefinitionChangeBody,
        responses={200: DefinitionShape, **base.ERRORS},
    )
    def patch(self, request: Request, project: str, definition: UUID) -> Response:
        """Change the rules; what is not named stays. Stored scores are not touched."""
        found = base.writable(request, project, "admin")
        one = _definition(found, definition)
        body = base.valid(DefinitionChangeBody(data=request.data))
        archived = body.pop("archived", None)
        if body:
            known = {name: getattr(one, name) for name in Rules.__dataclass_fields__}
            services.change_definition(
                project=found, definition=one, rules=Rules(**(known | body)), **_who(request)
            )
        if archived is not None:
            services.archive_definition(
                project=found,
                definition=one,
                archived=archived,
                now=timezone.now(),
                **_who(request),
            )
        return Response(definition_data(one))

    @extend_schema(operation_id="score_definitions_delete", responses={204: None, **base.ERRORS})
    def delete(self, request: Request, project: str, definition: UUID) -> Response:
        """Forget the rules; scores of that name stay."""
        found = base.writable(request, project, "admin")
        services.delete_definition(
            project=found, definition=_definition(found, definition), **_who(request)
        )
        return Response(status=204)


def _definition(project: Project, definition_id: UUID) -> ScoreDefinition:
    found = score_definitions(project).filter(pk=definition_id).first()
    if found is None:
        raise NotFoundError("There is no such definition in this project.")
    return found
