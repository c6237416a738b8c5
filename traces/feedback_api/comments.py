"""Comments for programs: a person's by their session, a program's by its key."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from core.api.pagination import CursorPages
from core.errors import DomainError
from projects.access import HasScope, project_from_api
from traces.feedback import comments as services
from traces.feedback_api import base
from traces.feedback_api.bodies import CommentBody, CommentChangeBody, CommentShape
from traces.feedback_api.shapes import comment_data
from traces.selectors.feedback import comments_of, existing_trace


class CommentPages(CursorPages):
    """Oldest first."""

    ordering = "id"


class CommentListView(base.ReadOrWrite):
    """The comments of one trace and its steps."""

    pagination_class = CommentPages

    @extend_schema(
        operation_id="comments_list",
        parameters=[base.query("span_id", "Only comments on this step.")],
        responses={200: CommentShape(many=True), **base.ERRORS},
    )
    def get(self, request: Request, project: str, trace_id: str) -> Response:
        """Oldest first."""
        found = project_from_api(request, project, "read")
        existing_trace(found, trace_id)
        rows = comments_of(found, trace_id)
        if span_id := request.query_params.get("span_id", "").replace("\x00", ""):
            rows = rows.filter(span_id=span_id)
        pages = self.pagination_class()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response([comment_data(one) for one in page])

    @extend_schema(
        operation_id="comments_create",
        request=CommentBody,
        responses={201: CommentShape, **base.ERRORS},
    )
    def post(self, request: Request, project: str, trace_id: str) -> Response:
        """Comment on the trace or one of its steps; members named with @ get a mail."""
        found = base.writable(request, project, "ingest")
        body = base.valid(CommentBody(data=request.data))
        comment = services.add_comment(
            project=found,
            trace_id=trace_id,
            span_id=body["span_id"],
            text=body["text"],
            author=base.actor_of(request),
            author_label=base.label_of(request),
            now=timezone.now(),
        )
        return Response(comment_data(comment), status=201)


class CommentDetailView(APIView):
    """One comment."""

    permission_classes = [HasScope("admin")]

    @extend_schema(
        operation_id="comments_change",
        request=CommentChangeBody,
        responses={200: CommentShape, **base.ERRORS},
    )
    def patch(self, request: Request, project: str, comment: UUID) -> Response:
        """Change one's own text, or mark a comment as dealt with. People only: a key is nobody's author."""
        actor = base.actor_of(request)
        if actor is None:
            raise DomainError(
                "Comments are changed by people; a key may delete them.",
                code="forbidden",
                status=403,
            )
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        body = base.valid(CommentChangeBody(data=request.data))
        if not body:
            raise DomainError("Name what to change: text or resolved.", fields=["text", "resolved"])
        row = None
        if "text" in body:
            row = services.edit_comment(
                project=found,
                comment_id=comment,
                text=body["text"],
                actor=actor,
                now=timezone.now(),
            )
        if "resolved" in body:
            row = services.resolve_comment(
                project=found,
                comment_id=comment,
                resolved=body["resolved"],
                actor=actor,
                now=timezone.now(),
            )
        return Response(comment_data(row) if row else {})

    @extend_schema(operation_id="comments_delete", responses={204: None, **base.ERRORS})
    def delete(self, request: Request, project: str, comment: UUID) -> Response:
        """Delete one's own comment, or any as an admin or with a key of the scope admin."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        services.delete_comment(project=found, comment_id=comment, actor=base.actor_of(request))
        return Response(status=204)
