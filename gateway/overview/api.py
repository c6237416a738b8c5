"""The overview for a project's programs and people: read with the scope read."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from costs.forms import refuse_unknown
from gateway.overview.frame import read_asked
from gateway.overview.reading import Reading
from gateway.overview.serializers import GatewayOverviewSerializer
from gateway.structs import PRIORITIES
from projects.access import HasScope, project_from_api

_RANGE = OpenApiParameter("range", OpenApiTypes.STR, description="24h by default; or two instants.")


class OverviewView(APIView):
    """Traffic, queue, providers' health, fallbacks, limits."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="gateway_overview", parameters=[_RANGE], responses=GatewayOverviewSerializer
    )
    def get(self, request: Request, project: str) -> Response:
        """What went through the gateway in a time, how its queue, providers and limits stand, what needs attention."""
        found = project_from_api(request, project, "read")
        refuse_unknown(request.query_params, {_RANGE.name})
        now = timezone.now()
        reading = Reading(found, read_asked(request.query_params, now=now), now=now)
        return Response(GatewayOverviewSerializer(_shown(reading)).data)


def _shown(reading: Reading) -> dict[str, Any]:
    period, traffic = reading.traffic
    bars = [
        {name: getattr(sums, name) for name in (*sums.__dataclass_fields__, "answered")} | {"at": at}
        for at, sums in sorted(traffic.by_bar.items())
    ]  # fmt: skip
    return {
        "start": period.start,
        "end": period.end,
        "total": reading.total,
        "bars": bars,
        "queue": _queue(reading),
        "targets": reading.targets,
        "fallbacks": reading.ways,
        "limits": reading.limits,
        "budgets": reading.budgets,
        "attention": reading.notices,
    }


def _queue(reading: Reading) -> dict[str, Any]:
    queue = reading.queue
    rows = []
    for name in PRIORITIES:
        depth, waits = (queue.depths or {}).get(name), reading.waits[name]
        rows.append(
            {
                "priority": name,
                "waiting": depth.waiting if depth else None,
                "oldest_s": depth.oldest_s if depth else None,
                "waited": waits.calls,
                "p50_ms": waits.p50_ms,
                "p95_ms": waits.p95_ms,
            }
        )
    return {
        "is_known": queue.depths is not None,
        "limit": queue.limit,
        "workers": len(queue.workers),
        "priorities": rows,
    }
