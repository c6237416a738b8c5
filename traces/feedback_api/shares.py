"""Public links for programs."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from core.api.pagination import CursorPages
from projects.access import HasScope, project_from_api
from traces.feedback import shares as services
from traces.feedback_api import base
from traces.feedback_api.bodies import NewShareShape, ShareBody, ShareShape
from traces.feedback_api.shapes import link_data
from traces.selectors.feedback import share_links


class ShareListView(APIView):
    """The project's public links."""

    permission_classes = [HasScope("admin")]
    pagination_class = CursorPages

    @extend_schema(
        operation_id="shares_list", responses={200: ShareShape(many=True), **base.ERRORS}
    )
    def get(self, request: Request, project: str) -> Response:
        """Newest first, ended ones too. For members, and keys with the scope admin."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        pages = self.pagination_class()
        page = pages.paginate_queryset(share_links(found), request, view=self) or []
        return pages.get_paginated_response([link_data(one) for one in page])

    @extend_schema(
        operation_id="shares_create",
        request=ShareBody,
        responses={201: NewShareShape, **base.ERRORS},
    )
    def post(self, request: Request, project: str) -> Response:
        """Make a link to one trace. `url` is in this answer only."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        body = base.valid(ShareBody(data=request.data))
        link, token = services.create_share_link(
            project=found,
            trace_id=body["trace_id"],
            with_payloads=body["with_payloads"],
            expires_in=body["expires_in"],
            now=timezone.now(),
            actor=base.actor_of(request),
            actor_label=base.label_of(request),
        )
        return Response(link_data(link) | {"url": services.address_of(token)}, status=201)


class ShareDetailView(APIView):
    """One public link."""

    permission_classes = [HasScope("admin")]

    @extend_schema(operation_id="shares_revoke", responses={204: None, **base.ERRORS})
    def delete(self, request: Request, project: str, share: UUID) -> Response:
        """End it at once."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        services.revoke_share_link(
            project=found,
            link_id=share,
            now=timezone.now(),
            actor=base.actor_of(request),
            actor_label=base.label_of(request),
        )
        return Response(status=204)
