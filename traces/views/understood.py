"""What we understood: the last spans, raw beside normalised, with what was ignored and why."""

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.htmx import render_page_or_part
from core.ranges import InvalidRangeError, parse_instant
from projects.access import project_for
from projects.models import Project
from traces.intake_words import door_name
from traces.selectors.samples import SampleFilters, Understood, sample_choices, sample_page

# A value longer than this, or of more lines, is folded to its beginning.
LONG = 240
LINES = 5
BRIEF = 120


@login_required
@never_cache
@require_GET
def understood(request: HttpRequest, slug: str) -> HttpResponse:
    """One page of samples. Two queries beside access and frame."""
    project = project_for(request, slug)
    filters, notes = _filters(request)
    page, has_more = sample_page(project, filters)
    dialects, scopes = sample_choices(project)
    base = reverse("traces:understood", kwargs={"slug": project.ref})
    kept = {
        name: value
        for name, value in (
            ("dialect", filters.dialect),
            ("scope", filters.scope),
            ("ignored", "1" if filters.has_ignored else ""),
        )
        if value
    }
    older = ""
    if has_more and page:
        last = page[-1].row
        place = f"{last.sampled_at:%Y-%m-%dT%H:%M:%S.%fZ}~{last.position}"
        older = f"{base}?{urlencode({**kept, 'before': place})}"
    context = {
        "project": project,
        "tab": "understood",
        "base": base,
        "filters": filters,
        "notes": notes,
        "dialects": dialects,
        "scopes": scopes,
        "lines": [_line(project, one) for one in page],
        "older": older,
        "is_narrowed": bool(kept) or filters.before is not None,
    }
    return render_page_or_part(
        request, page="traces/understood.html", part="traces/_understood.html", context=context
    )


def _filters(request: HttpRequest) -> tuple[SampleFilters, list[str]]:
    params, notes, before = request.GET, [], None
    if text := params.get("before", ""):
        at, _, position = text.partition("~")
        try:
            if not (position.isascii() and position.isdigit() and len(position) <= 4):
                raise InvalidRangeError("before is no place in this list")
            before = (parse_instant(at, "before"), int(position))
        except InvalidRangeError:
            notes.append("The address names no place in this list; its first page is shown.")
    return SampleFilters(
        dialect=_clean(params.get("dialect", "")),
        scope=_clean(params.get("scope", "")),
        has_ignored=params.get("ignored") == "1",
        before=before,
    ), notes


def _clean(text: str) -> str:
    return text.replace("\x00", "")[:200]


def _value(value: Any) -> dict[str, Any]:
    """A value to show; of a long one its beginning and length, so that it can stay folded."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    is_long = len(text) > LONG or text.count("\n") >= LINES
    return {"value": value, "brief": text[:BRIEF] if is_long else "", "length": len(text)}


def _line(project: Project, one: Understood) -> dict[str, Any]:
    row, data = one.row, one.data
    why = dict(data.get("ignored") or [])
    consumed = set(data.get("consumed") or [])
    raw = {**data["raw"], **{f"resource.{key}": value for key, value in data["resource"].items()}}
    attributes = [
        {"key": key, **_value(value), "why": why.get(key, ""), "is_read": key in consumed}
        for key, value in raw.items()
    ]
    shown = {
        "dialect": row.dialect,
        "scope": row.scope,
        "version": row.version,
        "door": row.door,
        "received_at": row.sampled_at.isoformat(),
        **data,
    }
    return {
        "row": row,
        "data": data,
        "door": door_name(row.door),
        "attributes": attributes,
        "read": sum(one["is_read"] for one in attributes),
        "ignored": len(why),
        "fields": [{"key": key, **_value(value)} for key, value in sorted(data["fields"].items())],
        "events": _value(data.get("events") or []),
        "json": json.dumps(shown, indent=2, ensure_ascii=False, default=str),
        "href": reverse(
            "traces:trace_detail", kwargs={"slug": project.ref, "trace_id": data["trace_id"]}
        )
        if data["trace_id"]
        else "",
    }
