"""The parts of the overview: what each template is given."""

from collections.abc import Callable
from typing import Any

from core import formats
from gateway.overview.drawing import cards_of, chart_of
from gateway.overview.reading import Reading
from gateway.overview.targets import GONE, TargetRow, Way
from gateway.routing.words import REASONS
from gateway.structs import PRIORITIES

SHOWN_NOTICES = 8


def _attention(reading: Reading) -> dict[str, Any]:
    notices = reading.notices
    return {"notices": notices[:SHOWN_NOTICES], "more": max(0, len(notices) - SHOWN_NOTICES)}


def _traffic(reading: Reading) -> dict[str, Any]:
    return {"cards": cards_of(reading), "chart": chart_of(reading)}


def _queue(reading: Reading) -> dict[str, Any]:
    depths = reading.queue.depths or {}
    rows = [
        {
            "name": name.capitalize(),
            "depth": depths.get(name),
            "waits": reading.waits[name],
            "href": reading.links.requests(priority=name),
        }
        for name in PRIORITIES
    ]
    return {"queue": reading.queue, "priorities": rows}


def _targets(reading: Reading) -> dict[str, Any]:
    return {"targets": [{"row": row, "href": _target_href(reading, row)} for row in reading.targets]}  # fmt: skip


def _target_href(reading: Reading, row: TargetRow) -> str:
    return reading.links.target(str(row.connection_id), row.tried.model)


def _fallbacks(reading: Reading) -> dict[str, Any]:
    return {
        "fell": reading.total.fell,
        "fell_href": reading.links.requests(fallback="yes"),
        "share": formats.percent(reading.total.fell / reading.total.calls)
        if reading.total.calls
        else "",
        "ways": [_way(reading, one) for one in reading.ways],
    }


def _way(reading: Reading, way: Way) -> dict[str, Any]:
    def name(connection: str) -> str:
        found = reading.connections.get(connection)
        return found.name if found else GONE

    return {
        "way": way,
        "name": name(way.connection),
        "next_name": name(way.next_connection),
        "why": REASONS.get(way.error, way.error.replace("_", " ") or "no reason given"),
        "href": reading.links.target(way.connection, way.model, fallback="yes"),
    }


def _limits(reading: Reading) -> dict[str, Any]:
    return {
        "limits": reading.limits,
        "budgets": reading.budgets,
        "organization": reading.project.organization,
    }


PANELS: dict[str, Callable[[Reading], dict[str, Any]]] = {
    "attention": _attention,
    "traffic": _traffic,
    "queue": _queue,
    "targets": _targets,
    "fallbacks": _fallbacks,
    "limits": _limits,
}
