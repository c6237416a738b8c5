"""Sessions, users and errors: the lists, their CSV, and one of each."""

import csv
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core import formats
from core.csv_cells import Echo, inert
from core.cursors import InvalidCursorError
from core.htmx import render_page_or_part
from core.ranges import PRESETS
from core.streaming import csv_download
from projects.access import project_for
from projects.models import Project
from traces.activity import lists, rows
from traces.activity.lists import Spec, State
from traces.activity.specs import ERRORS, SESSIONS, USERS
from traces.filters import unknown_params
from traces.search import status as search_status

View = Callable[[HttpRequest, str], HttpResponseBase]
CSV_CAP = 10_000
_TITLES = {"sessions": "Sessions", "users": "Users", "errors": "Errors"}
_URLS = {"sessions": "session", "users": "user", "errors": "error"}
_COLUMNS = {
    # sort key (or ""), label, css
    "sessions": (
        ("", "Session", ""), ("", "User", "hide-sm"), ("turns", "Turns", "r"), ("cost", "Cost", "r"),
        ("tokens", "Tokens", "r hide-sm"), ("duration", "Duration", "r hide-sm"), ("errors", "Errors", "r"),
        ("started", "Started", "hide-sm"), ("last", "Last activity", ""),
    ),
    "users": (
        ("user", "User", ""), ("traces", "Traces", "r"), ("sessions", "Sessions", "r hide-sm"), ("cost", "Cost", "r"),
        ("tokens", "Tokens", "r hide-sm"), ("errors", "Errors", "r"), ("first", "First seen", "hide-sm"),
        ("last", "Last seen", ""),
    ),
    "errors": (
        ("", "Error", ""), ("", "Trend", "hide-sm"), ("count", "Count", "r"), ("traces", "Traces", "r hide-sm"),
        ("users", "Users", "r hide-sm"), ("first", "First seen", "hide-sm"), ("last", "Last seen", ""),
    ),
}  # fmt: skip
_EMPTY = {
    "sessions": "A session is every trace with the same session id. Send one with your traces, for example"
    " session.id in OpenTelemetry or session in our JSON.",
    "users": "A user is every trace with the same user id. Send one with your traces, for example user.id in"
    " OpenTelemetry or user in our JSON.",
    "errors": "Steps that fail are grouped here by what failed and where. Nothing has failed in this range.",
}
_WIDER = {"15m": "24h", "1h": "24h", "24h": "7d", "7d": "30d", "mtd": "30d", "30d": "90d"}


def _list(request: HttpRequest, slug: str, spec: Spec) -> HttpResponse:
    project = project_for(request, slug)
    now = timezone.now()
    state = lists.parse_state(spec, request.GET, now=now)
    notes = list(state.notes)
    known = spec.params | {"after", "before"}
    if unknown := [name for name in unknown_params(request.GET, also=known) if name not in known]:
        notes.append(f"Unknown in the address and ignored: {', '.join(unknown)}.")
    cursor = {name: request.GET[name] for name in ("after", "before") if request.GET.get(name)}
    try:
        page = lists.page_of(
            project, state, after=cursor.get("after", ""), before=cursor.get("before", "")
        )
    except InvalidCursorError as error:
        notes.append(error.detail)
        page, cursor = lists.page_of(project, state), {}
    response = render_page_or_part(
        request,
        page="traces/activity_list.html",
        part="traces/_activity_results.html",
        context={
            **_context(project, state, page, cursor, now),
            "notes": notes,
        },
    )
    if request.htmx:  # type: ignore[attr-defined]
        response["HX-Push-Url"] = f"{request.path}?{state.query(**cursor)}"
    return response


def _context(
    project: Project, state: State, page: lists.Page, cursor: dict[str, str], now: dt.datetime
) -> dict[str, Any]:
    name = state.spec.name
    base = reverse(f"traces:{_URLS[name]}_list", kwargs={"slug": project.ref})
    count, is_capped = lists.count_of(project, state)
    return {
        "project": project,
        "name": name,
        "title": _TITLES[name],
        "singular": _URLS[name],
        "state": state,
        "list_url": base,
        "csv_url": reverse(f"traces:{_URLS[name]}_csv", kwargs={"slug": project.ref}),
        "csv_cap": CSV_CAP,
        "row_template": f"traces/_{_URLS[name]}_row.html",
        "range": {
            "label": state.range.label,
            "key": state.range.key,
            "start": state.range.start,
            "end": state.range.end,
            "presets": [{"key": key, "label": label} for key, label in PRESETS.items()],
        },
        "kept": parse_qsl(state.query(range=None)),
        "fields": [
            {"choice": choice, "value": state.value(choice.param)} for choice in state.spec.choices
        ],
        "heads": [_head(state, base, *column) for column in _COLUMNS[name]],
        "lines": rows.lines(project, state, page.rows),
        "newer_href": f"{base}?{state.query(before=page.before)}" if page.before else "",
        "older_href": f"{base}?{state.query(after=page.after)}" if page.after else "",
        "is_first_page": not cursor,
        "count": count,
        "is_capped": is_capped,
        "wider": _wider(state, base),
        "empty_text": _EMPTY[name],
        "reading": search_status.reading(project, now=now),
    }


def _head(state: State, base: str, key: str, label: str, css: str) -> dict[str, str]:
    current = state.sort if key and state.sort_key == key else ""
    following = key if current == f"-{key}" else f"-{key}"
    aria = {f"-{key}": "descending", key: "ascending"}.get(current, "") if key else ""
    href = f"{base}?{state.query(sort=following)}" if key else ""
    return {"label": label, "css": css, "href": href, "state": aria}


def _wider(state: State, base: str) -> dict[str, str] | None:
    key = _WIDER.get(state.range.key)
    if key is None:
        return None
    return {"label": PRESETS[key].lower(), "href": f"{base}?{state.query(range=key)}"}


def _csv(request: HttpRequest, slug: str, spec: Spec) -> StreamingHttpResponse:
    project = project_for(request, slug)
    now = timezone.now()
    state = lists.parse_state(spec, request.GET, now=now)
    stamp = now.strftime("%Y%m%d-%H%M%S")
    name = f"{spec.name}-{project.slug}-{stamp}.csv"
    return csv_download(name, _csv_lines(project, state))


def _csv_lines(project: Project, state: State) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    columns = rows.CSV[state.spec.name]
    yield write(list(columns))
    after, left = "", CSV_CAP
    while left > 0:
        page = lists.page_of(project, state, after=after, limit=min(500, left))
        for row in page.rows:
            yield write([inert(_text(read(row))) for read in columns.values()])
        left -= len(page.rows)
        after = page.after
        if not after:
            return
    yield write([f"Cut after {CSV_CAP:,} rows; narrow the filters or the range for the rest."])


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else value


def _page(answer: Callable[[HttpRequest, str, Spec], HttpResponseBase], spec: Spec) -> View:
    """The view of one of the three lists."""

    @login_required
    @never_cache
    @require_GET
    def view(request: HttpRequest, slug: str) -> HttpResponseBase:
        return answer(request, slug, spec)

    return view


# `P/sessions/`, `P/users/`, `P/errors/`
session_list, user_list, error_list = (_page(_list, spec) for spec in (SESSIONS, USERS, ERRORS))
# What is filtered there as CSV, at most 10,000 rows
session_csv, user_csv, error_csv = (_page(_csv, spec) for spec in (SESSIONS, USERS, ERRORS))


def traces_url(project: Project, **params: str) -> str:
    """The trace list with these filters."""
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    return f"{base}?{urlencode(params)}"


def count_words(count: int, noun: str) -> str:
    """`1 turn`, `1,204 turns`."""
    return f"{formats.count(count)} {noun}{'' if count == 1 else 's'}"
