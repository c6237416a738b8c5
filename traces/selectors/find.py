"""Search inside one trace: in names, ids, models and errors by SQL; in what was said by opening payloads, bounded."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet, Sum

from core.crypto import DecryptionError, data_cipher
from projects.models import Project
from traces.contents import split_row, steps_in
from traces.models import Span, SpanPayload, Trace
from traces.payloads import read_payload
from traces.tree import Tree

MAX_TEXT = 200
MAX_MATCHES = 2_000  # ids a page is given to walk through
FIELDS = (
    "name", "span_id", "request_model", "response_model", "provider", "operation", "error_type", "finish_reason",
)  # fmt: skip
ALWAYS_DEEP = 200  # steps; smaller traces are searched through and through at once
MAX_PAYLOADS = 5_000
MAX_BYTES = 64 * 1024 * 1024
MAX_SECONDS = 2.0
_BATCH = 250


@dataclass(frozen=True)
class Found:
    """Matches in tree order. `read` of `of` payloads were looked into (both 0 when not asked to)."""

    text: str
    span_ids: tuple[str, ...]
    total: int
    is_deep: bool = False
    read: int = 0
    of: int = 0

    @property
    def is_partial(self) -> bool:
        """Whether payloads were left out because of the bound."""
        return self.read < self.of


def clean_query(text: str) -> str:
    """What is really searched for."""
    return text.replace("\x00", "").strip()[:MAX_TEXT]


def matching_steps(
    steps: "QuerySet[Span]", text: str, *, with_errors: bool = True
) -> "QuerySet[Span]":
    """The steps that name `text` in a name, id, model or error, whatever its case."""
    fields = (*FIELDS, "error_message") if with_errors else FIELDS
    condition = Q()
    for field in fields:
        condition |= Q(**{f"{field}__icontains": text})
    return steps.filter(condition)


def find_steps(
    project: Project, trace: Trace, tree: Tree, text: str, *, deep: bool, sees_payloads: bool
) -> Found:
    """Steps that match. One query; with `deep` one more per 250 payloads, at most 5,000 of them, 64 MiB or two
    seconds."""
    text = clean_query(text)
    if not text:
        return Found("", (), 0)
    own = _spans(trace)
    hits = set(
        matching_steps(own, text, with_errors=sees_payloads).values_list("span_id", flat=True)
    )
    deep = sees_payloads and (deep or len(tree.rows) <= ALWAYS_DEEP)
    read = of = 0
    if deep:
        read, of = _search_payloads(project, trace, text, hits)
    position = tree.position
    ordered = sorted((one for one in hits if one in position), key=position.__getitem__)
    return Found(text, tuple(ordered[:MAX_MATCHES]), len(ordered), deep, read, of)


def _spans(trace: Trace) -> "QuerySet[Span]":
    return Span.objects.filter(
        project=trace.project_id,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    )


def _payloads(trace: Trace) -> "QuerySet[SpanPayload]":
    return SpanPayload.objects.filter(
        project=trace.project_id,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    )


def _search_payloads(project: Project, trace: Trace, text: str, hits: set[str]) -> tuple[int, int]:
    """Add the steps that said `text`; how many payloads were read, of how many."""
    of = _payloads(trace).aggregate(steps=Sum(steps_in()))["steps"] or 0
    wanted, until, volume, read = text.casefold(), time.monotonic() + MAX_SECONDS, 0, 0
    for payload in _in_order(trace):
        read += len(payload.steps or [payload.span_id])
        volume += payload.size
        hits.update(_saying(project, payload, wanted))
        if read >= MAX_PAYLOADS or volume >= MAX_BYTES or time.monotonic() > until:
            break
    return read, of


def _in_order(trace: Trace) -> Iterator[SpanPayload]:
    last: Any = None
    found = _payloads(trace).order_by("started_at", "span_id")
    while True:
        part = found
        if last is not None:
            part = part.filter(started_at__gte=last.started_at).exclude(
                started_at=last.started_at, span_id__lte=last.span_id
            )
        batch = list(part[:_BATCH])
        yield from batch
        if len(batch) < _BATCH:
            return
        last = batch[-1]


def _saying(project: Project, payload: SpanPayload, wanted: str) -> list[str]:
    """The row's steps whose input or output hold the text; the packed bytes are asked first, which spares taking most
    apart."""
    cipher = data_cipher(project.organization.data_key)
    try:
        packed = dict(split_row(cipher, payload))
    except DecryptionError:
        return []
    return [
        span_id
        for span_id, raw in packed.items()
        if wanted in bytes(raw).decode("utf-8", "replace").casefold()
        and _says(read_payload(raw), wanted)
    ]


def _says(content: dict[str, Any], wanted: str) -> bool:
    return any(
        wanted in said.casefold() for key in ("input", "output") for said in texts(content.get(key))
    )


def texts(value: Any) -> Iterator[str]:
    """Every text inside a JSON value, without recursion; base64 blobs count as text, names of fields do not."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
        elif one is not None and not isinstance(one, bool):
            yield str(one)
