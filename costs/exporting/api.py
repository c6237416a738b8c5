"""Exports of an organisation's costs for people's programs: ask, poll, fetch, link; FOCUS as one stream.

By session, with the person's role: a project's API key sees one project, these files all of them.
"""

import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Organization, Role
from accounts.selectors import person
from core.api.pagination import limit_of, next_url
from core.errors import DomainError
from core.models import Job
from core.streaming import ChunkedResponse
from costs.exporting import links, runs
from costs.exporting import serializers as shapes
from costs.exporting.ask import DAY, read_asked
from costs.exporting.forms import place_of
from costs.exporting.pages import listed
from costs.exporting.views import file_response
from costs.focus import source as focus
from costs.focus.columns import VERSIONS
from costs.forms import refuse_unknown
from projects.access import HasScope, people_only
from projects.api import valid
from projects.export_views import TYPES
from projects.exports import job as engine
from projects.exports import registry
from projects.job_views import cancel

STREAM_DAYS = 92
_LISTING = [
    OpenApiParameter("state", OpenApiTypes.STR, enum=Job.State.values),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=shapes.KINDS),
    OpenApiParameter("schedule", OpenApiTypes.UUID),
    OpenApiParameter(
        "before", OpenApiTypes.UUID, description="The last export of the page before."
    ),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]
_STREAM = [
    OpenApiParameter("version", OpenApiTypes.STR, enum=list(VERSIONS)),
    OpenApiParameter("start", OpenApiTypes.DATE, description="First day, UTC."),
    OpenApiParameter("end", OpenApiTypes.DATE, description="Last day, UTC."),
    OpenApiParameter("format", OpenApiTypes.STR, enum=["csv", "jsonl"]),
    OpenApiParameter("flavour", OpenApiTypes.STR, enum=list(shapes.FLAVOURS)),
]
_FILE = {(200, "application/octet-stream"): OpenApiTypes.BINARY}


membership_of = people_only(
    "these files hold the costs of all of them. Its own are exported at /api/v1/projects/<project>/exports."
)


class CostExportListView(APIView):
    """An organisation's exports."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="cost_exports_list", parameters=_LISTING, responses=shapes.CostExportPageSerializer
    )  # fmt: skip
    def get(self, request: Request, organization: str) -> Response:
        """Newest first (people only)."""
        membership = membership_of(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        page = listed(membership.organization_id, request.query_params, limit=limit_of(request))
        rows = shapes.CostExportSerializer(page.rows, many=True).data
        return Response({"results": rows, "next": next_url(request, page.older, "before")})

    @extend_schema(
        operation_id="cost_exports_create",
        request=shapes.CostExportRequestSerializer,
        responses={202: shapes.CostExportSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """202 and the export that writes the files (members). At most five at a time (429)."""
        membership = membership_of(request, organization, Role.MEMBER)
        data: dict[str, Any] = valid(shapes.CostExportRequestSerializer(data=request.data))
        place = place_of(membership.organization_id, str(data.get("destination") or ""))
        job = runs.start_export(
            organization=membership.organization,
            kind=data["kind"],
            format_name=data["format"],
            request=_question(data),
            actor=person(request),
            params={"destination": str(place.pk), "destination_name": place.name}
            if place
            else None,
        )
        return Response(shapes.CostExportSerializer(job).data, status=202)


def _question(data: dict[str, Any]) -> registry.Request:
    asked = {name: data.get(name, "") for name in ("start", "end", "version", "split")}
    asked["projects"] = ",".join(map(str, data.get("projects", [])))
    query = urlencode({name: str(value) for name, value in asked.items() if value}, safe=",")
    return registry.Request(
        query=query, is_machine=data.get("flavour") == "machine", now=timezone.now()
    )


class CostExportView(APIView):
    """One export."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="cost_exports_get", responses=shapes.CostExportSerializer)
    def get(self, request: Request, organization: str, export: UUID) -> Response:
        """Poll it until `state` is done, failed or cancelled."""
        membership = membership_of(request, organization)
        job = runs.export_of(membership.organization_id, export)
        return Response(shapes.CostExportSerializer(job).data)

    @extend_schema(operation_id="cost_exports_remove", responses={204: None})
    def delete(self, request: Request, organization: str, export: UUID) -> Response:
        """Remove an ended export with its files and links (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        job = runs.export_of(membership.organization_id, export)
        runs.remove_export(job=job, actor=person(request))
        return Response(status=204)


class CostExportCancellationView(APIView):
    """The end of an export before its next step."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="cost_exports_cancel", request=None, responses={202: shapes.CostExportSerializer}
    )  # fmt: skip
    def post(self, request: Request, organization: str, export: UUID) -> Response:
        """202: it ends after the step it is in; nothing of it stays. For who started it, and admins."""
        membership = membership_of(request, organization, Role.MEMBER)
        job = runs.export_of(membership.organization_id, export)
        cancel(job, membership, now=timezone.now())
        job.refresh_from_db()
        return Response(shapes.CostExportSerializer(job).data, status=202)


class CostExportRetryView(APIView):
    """The same export once more."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="cost_exports_retry", request=None, responses={202: shapes.CostExportSerializer}
    )  # fmt: skip
    def post(self, request: Request, organization: str, export: UUID) -> Response:
        """202 and a new export, after one that failed or was cancelled (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        job = runs.export_of(membership.organization_id, export)
        again = runs.retry_export(job=job, now=timezone.now(), actor=person(request))
        return Response(shapes.CostExportSerializer(again).data, status=202)


class CostExportFileView(APIView):
    """A file of a finished export."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="cost_exports_file",
        parameters=[
            OpenApiParameter("name", OpenApiTypes.STR, description="Default: the first."),
            OpenApiParameter(
                "gz", OpenApiTypes.STR, description="1: CSV and JSON Lines compressed."
            ),
        ],
        responses=_FILE,
    )
    def get(self, request: Request, organization: str, export: UUID) -> StreamingHttpResponse:
        """Streamed; 404 until the export is done, and after a week."""
        membership = membership_of(request, organization)
        job = runs.export_of(membership.organization_id, export)
        query = request.query_params
        return file_response(job, query.get("name", ""), packed=query.get("gz") == "1")


class CostExportLinkListView(APIView):
    """Links to an export's files."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="cost_export_links_list", responses=shapes.ExportLinkSerializer(many=True)
    )
    def get(self, request: Request, organization: str, export: UUID) -> Response:
        """Those that work, without their addresses (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        job = runs.export_of(membership.organization_id, export)
        found = links.links_of(job, now=timezone.now())
        return Response(shapes.ExportLinkSerializer(found, many=True).data)

    @extend_schema(
        operation_id="cost_export_links_create",
        request=shapes.ExportLinkRequestSerializer,
        responses={201: shapes.ExportLinkSerializer},
    )
    def post(self, request: Request, organization: str, export: UUID) -> Response:
        """A link that fetches a file without an account until it ends (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        data: dict[str, Any] = valid(shapes.ExportLinkRequestSerializer(data=request.data))
        link = links.create_link(
            job=runs.export_of(membership.organization_id, export),
            file_name=data["file"],
            expires_in=data["expires_in"],
            now=timezone.now(),
            actor=person(request),
        )
        shown = shapes.ExportLinkSerializer(link, context={"is_new": True}).data
        return Response(shown, status=201)


class CostExportLinkView(APIView):
    """One link."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="cost_export_links_revoke", responses={204: None})
    def delete(self, request: Request, organization: str, export_link: UUID) -> Response:
        """End it at once (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        links.revoke_link(
            organization_id=membership.organization_id,
            link_id=export_link,
            now=timezone.now(),
            actor=person(request),
        )
        return Response(status=204)


class FocusStreamView(APIView):
    """FOCUS without a job."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="cost_exports_focus",
        parameters=_STREAM,
        responses={(200, "text/csv"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, organization: str) -> StreamingHttpResponse:
        """The rows while they are read, at most 92 days (more: as an export); `flavour` is machine by default."""
        membership = membership_of(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _STREAM})
        query, format_name = request.query_params.copy(), request.query_params.get("format", "csv")
        flavour = query.get("flavour", "machine")
        for name, value, allowed in (
            ("format", format_name, ("csv", "jsonl")),
            ("flavour", flavour, shapes.FLAVOURS),
        ):
            if value not in allowed:
                raise DomainError(
                    f"{name} is {value[:40]!r}; it must be one of {', '.join(allowed)}.",
                    fields=[name],
                )
            query.pop(name, None)
        now = timezone.now()
        asked = read_asked(query.urlencode(), now=now)
        if (asked.end - asked.first).days > STREAM_DAYS:
            raise DomainError(
                f"start to end spans more than {STREAM_DAYS} days; ask for an export instead:"
                f" POST /api/v1/organizations/{membership.organization.slug}/exports.",
                fields=["start", "end"],
            )
        question = registry.Request(query=asked.query, is_machine=flavour == "machine", now=now)
        return _stream(membership.organization, question, format_name, asked.version)


def _stream(
    owner: Organization, question: registry.Request, format_name: str, version: str
) -> StreamingHttpResponse:
    asked = read_asked(question.query, now=question.now)
    pages = engine.packed_pages(
        owner=owner,
        source=registry.source_of(focus.KIND, of_organization=True),
        request=question,
        is_csv=format_name == "csv",
    )
    response = ChunkedResponse(_unpacked(pages), content_type=TYPES[format_name])
    name = f"focus-{version}-{asked.first}-{asked.end - DAY}.{format_name}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _unpacked(pages: Iterator[bytes]) -> Iterator[bytes]:
    """Each read stays compressed in memory and is unpacked while it is sent: the connection may be closed meanwhile."""
    for page in pages:
        unpacker = zlib.decompressobj(31)
        left = page
        while left:
            yield unpacker.decompress(left, engine.STEP_BYTES // 16)
            left = unpacker.unconsumed_tail
