"""What is new in a project's traces, and the words in it. Reads only; every read is bounded."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from core.crypto import Cipher, DecryptionError
from traces.contents import split
from traces.errors.fingerprint import Failure
from traces.payloads import is_plain, read_payload

# What is indexed of one payload and of one trace; the rest is not searchable, and the page says so.
MAX_PAYLOAD = 32 * 1024
MAX_TRACE = 256 * 1024
MAX_GIST = 1_000
STEPS_READ = 1_000
FAILURES_READ = 300
# Values of these keys name kinds and ids, not words somebody said.
_MUTE = frozenset(
    {"role", "type", "id", "tool_call_id", "call_id", "mime_type", "media_type", "finish_reason", "encrypted_content"}
)  # fmt: skip
_LONG_WORD = 400
_DEPTH = 40


@dataclass
class Step:
    """What a step contributes beside its payload."""

    span_id: str
    started_at: dt.datetime
    name: str
    kind: str
    model: str
    is_root: bool


@dataclass
class FailedStep:
    """A step that failed, and the step above it."""

    span_id: str
    parent_span_id: str
    started_at: dt.datetime
    provider: str
    failure: Failure


@dataclass
class News:
    """One trace that changed since it was last read."""

    trace_id: str
    seq: int
    started_at: dt.datetime
    updated_at: dt.datetime
    first_span_at: dt.datetime
    last_span_at: dt.datetime
    name: str
    agent: str
    environment: str
    release: str
    user_id: str
    session_id: str
    tags: list[str]
    model_names: list[str]
    error_count: int
    # Where it was counted before.
    old_session: str
    old_user: str
    steps: list[Step] = field(default_factory=list)
    failures: list[FailedStep] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    gist: str = ""
    is_cut: bool = False


_COLUMNS = (
    "SELECT t.trace_id, t.seq, t.started_at, t.updated_at, t.first_span_at, t.last_span_at, t.name, t.agent,"
    " t.environment, t.release, t.user_id, t.session_id, t.tags, t.model_names, t.error_count,"
    " coalesce(d.session_id, ''), coalesce(d.user_id, '')"
    " FROM traces_trace t LEFT JOIN traces_searchdocument d"
    " ON d.project_id = t.project_id AND d.trace_id = t.trace_id WHERE t.project_id = %s"
)
_CHANGED = (
    f"{_COLUMNS} AND t.updated_at >= %s AND (d.seq IS NULL OR d.seq < t.seq)"
    " ORDER BY t.updated_at LIMIT %s"
)
_BEFORE = (
    f"{_COLUMNS} AND (t.started_at, t.trace_id) < (%s, %s)"
    " ORDER BY t.started_at DESC, t.trace_id DESC LIMIT %s"
)
_STEPS = (
    "SELECT s.trace_id, s.span_id, s.started_at, s.name, s.kind,"
    " coalesce(nullif(s.response_model, ''), s.request_model), s.parent_span_id = ''"
    " FROM unnest(%s::text[]) AS wanted(trace_id) CROSS JOIN LATERAL ("
    " SELECT * FROM traces_span WHERE project_id = %s AND trace_id = wanted.trace_id"
    " AND started_at >= %s AND started_at <= %s LIMIT %s) s ORDER BY s.started_at, s.span_id"
)
_FAILED = (
    "SELECT s.trace_id, s.span_id, s.parent_span_id, s.started_at, s.provider, s.error_type, s.error_message, s.kind,"
    " s.name, coalesce(nullif(s.response_model, ''), s.request_model)"
    " FROM unnest(%s::text[]) AS wanted(trace_id) CROSS JOIN LATERAL ("
    " SELECT * FROM traces_span WHERE project_id = %s AND trace_id = wanted.trace_id"
    " AND started_at >= %s AND started_at <= %s AND status = 'error' LIMIT %s) s ORDER BY s.started_at, s.span_id"
)
_PAYLOADS = (
    "SELECT s.trace_id, s.span_id, s.steps, s.data FROM unnest(%s::text[]) AS wanted(trace_id) CROSS JOIN LATERAL ("
    " SELECT * FROM traces_spanpayload WHERE project_id = %s AND trace_id = wanted.trace_id"
    " AND started_at >= %s AND started_at <= %s ORDER BY started_at, span_id LIMIT %s) s"
)


def changed_traces(project_id: UUID, *, since: dt.datetime, limit: int) -> list[News]:
    """Traces written since then whose document is older than they are, oldest news first. One query."""
    return _news(_CHANGED, [project_id, since, limit])


def traces_before(project_id: UUID, *, at: dt.datetime, trace_id: str, limit: int) -> list[News]:
    """Traces that started before a place in time, newest first, read or not. One query."""
    return _news(_BEFORE, [project_id, at, trace_id, limit])


def _news(statement: str, params: list[Any]) -> list[News]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [News(*row) for row in cursor.fetchall()]


def add_steps(project_id: UUID, news: list[News]) -> None:
    """Fill in names and failures of the traces' steps. Two queries at most, bounded per trace."""
    by_id = {one.trace_id: one for one in news}
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, [list(by_id), project_id, *_window(news), STEPS_READ])
        for trace_id, *step in cursor.fetchall():
            by_id[trace_id].steps.append(Step(*step))
        failed = [one for one in news if one.error_count]
        if not failed:
            return
        ids = [one.trace_id for one in failed]
        cursor.execute(_FAILED, [ids, project_id, *_window(failed), FAILURES_READ])
        for trace_id, span_id, parent, at, provider, *failure in cursor.fetchall():
            by_id[trace_id].failures.append(
                FailedStep(span_id, parent, at, provider, Failure(*failure))
            )


def add_content(project_id: UUID, cipher: Cipher, news: list[News], *, only_plain: bool) -> None:
    """Fill in what was said: bounded text, each text once. One query.

    With `only_plain` what was sealed when it arrived stays out: it was not masked.
    """
    by_id = {one.trace_id: one for one in news}
    roots = {(one.trace_id, step.span_id) for one in news for step in one.steps if step.is_root}
    heard: dict[str, set[int]] = {trace_id: set() for trace_id in by_id}
    left = dict.fromkeys(by_id, MAX_TRACE)
    settled: set[str] = set()
    with connection.cursor() as cursor:
        cursor.execute(_PAYLOADS, [list(by_id), project_id, *_window(news), STEPS_READ])
        found = cursor.fetchall()
    for row in found:
        for trace_id, span_id, content in _contents(project_id, cipher, row, only_plain=only_plain):
            one = by_id[trace_id]
            if left[trace_id] <= 0:
                one.is_cut = True
                break
            text, is_cut = _text(content, heard[trace_id])
            one.is_cut |= is_cut
            one.said.append(text)
            left[trace_id] -= len(text)
            is_root = (trace_id, span_id) in roots
            if (not one.gist or is_root) and trace_id not in settled and (gist := gist_of(content)):
                one.gist = gist
                if is_root:  # the earliest of several
                    settled.add(trace_id)


def _contents(
    project_id: UUID, cipher: Cipher, row: tuple[Any, ...], *, only_plain: bool
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The steps in a row and what was said in them; nothing where it was sealed with a key that is gone."""
    trace_id, first, steps, data = row
    if only_plain and not is_plain(data):
        return
    try:
        for span_id, raw in split(
            cipher, project_id, trace_id=trace_id, span_id=first, steps=steps, data=data
        ):
            yield trace_id, span_id, read_payload(raw)
    except DecryptionError:
        return


def _window(news: list[News]) -> tuple[dt.datetime, dt.datetime]:
    return min(one.first_span_at for one in news), max(one.last_span_at for one in news)


def _text(content: dict[str, Any], heard: set[int]) -> tuple[str, bool]:
    """Input and output as text, without what the trace has said before (histories repeat)."""
    parts, size = [], 0
    for name in ("input", "output"):
        for part in leaves(content.get(name)):
            if (key := hash(part)) in heard:
                continue
            heard.add(key)
            parts.append(part[: MAX_PAYLOAD - size])
            size += len(part) + 1
            if size >= MAX_PAYLOAD:
                return "\n".join(parts), True
    return "\n".join(parts), False


def leaves(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts inside a JSON value in order; names of kinds, ids and encoded data are left out."""
    if isinstance(value, str):
        if value and not _is_data(value):
            yield value.replace("\x00", "")
    elif depth >= _DEPTH:
        return
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _MUTE:
                yield from leaves(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _is_data(text: str) -> bool:
    return len(text) > _LONG_WORD and (
        text.startswith("data:") or not any(c.isspace() for c in text[:_LONG_WORD])
    )


def gist_of(content: dict[str, Any]) -> str:
    """The last user turn and the answer: what a trace is about."""
    asked = content.get("input")
    if isinstance(asked, dict) and isinstance(asked.get("messages"), list):
        asked = asked["messages"]
    if isinstance(asked, list):
        turns = [m for m in asked if isinstance(m, dict) and m.get("role") == "user"]
        asked = turns[-1] if turns else asked[-1:]
    sides = (first_words(asked), first_words(content.get("output")))
    return "\n".join(side for side in sides if side)


def first_words(value: Any) -> str:
    """The beginning of what a JSON value says, on one line."""
    found, size = [], 0
    for part in leaves(value):
        found.append(part)
        size += len(part)
        if size >= MAX_GIST:
            break
    return " ".join(" ".join(found).split())[:MAX_GIST]
