"""What was said in a batch, as rows: ended steps of one trace share one (traces.contents), running ones do not, for
they are written again when they end."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from core.crypto import Cipher
from traces.contents import earliest, mark_of, split
from traces.ingest.rows import SpanKey, payload_content
from traces.ingest.span import NormalSpan
from traces.payloads import encoded, is_plain, payload_context, seal_encoded

# Small enough to open for one step, large enough to compress well.
MAX_STEPS = 64
MAX_BYTES = 128 * 1024
ALONE_ABOVE = 32 * 1024
_COPY = (
    "COPY traces_spanpayload (project_id, trace_id, span_id, started_at, data, size, steps)"
    " FROM STDIN (FORMAT BINARY)"
)
_encoder = msgspec.msgpack.Encoder()


class Said(msgspec.Struct):
    """One step's content in msgpack."""

    span_id: str
    started_at: dt.datetime
    raw: bytes


class SealedRow(msgspec.Struct, kw_only=True):
    """The columns of SpanPayload."""

    trace_id: str
    span_id: str
    started_at: dt.datetime
    data: bytes
    size: int
    steps: list[int] | None


def sealed_rows(
    spans: Iterable[NormalSpan], *, cipher: Cipher | None, project_id: UUID, is_shared: bool
) -> list[SealedRow]:
    """The batch's contents, sealed when there is a cipher; steps that carried none have none. `is_shared`: ended steps
    share rows."""
    alone: list[SealedRow] = []
    together: dict[str, list[Said]] = {}
    for span in spans:
        if not (content := payload_content(span)):
            continue
        said = Said(span.span_id, span.started_at, encoded(content))
        if is_shared and span.status != "running" and len(said.raw) <= ALONE_ABOVE:
            together.setdefault(span.trace_id, []).append(said)
        else:
            alone.append(_sealed(cipher, project_id, span.trace_id, said))
    return alone + [
        _sealed_together(cipher, project_id, trace_id, part)
        for trace_id, steps in together.items()
        for part in _parts(steps)
    ]


def _parts(steps: list[Said]) -> Iterable[list[Said]]:
    """The steps in order, of one day each, bounded."""
    steps.sort(key=lambda said: (said.started_at, said.span_id))
    part: list[Said] = []
    size = 0
    for said in steps:
        is_full = len(part) == MAX_STEPS or size + len(said.raw) > MAX_BYTES
        if part and (is_full or earliest(said.started_at) != earliest(part[0].started_at)):
            yield part
            part, size = [], 0
        part.append(said)
        size += len(said.raw)
    yield part


def _sealed(cipher: Cipher | None, project_id: UUID, trace_id: str, said: Said) -> SealedRow:
    context = payload_context(project_id, trace_id, said.span_id)
    return SealedRow(
        trace_id=trace_id,
        span_id=said.span_id,
        started_at=said.started_at,
        data=seal_encoded(cipher, said.raw, context),
        size=len(said.raw),
        steps=None,
    )


def _sealed_together(
    cipher: Cipher | None, project_id: UUID, trace_id: str, part: Sequence[Said]
) -> SealedRow:
    plain = _encoder.encode({said.span_id: msgspec.Raw(said.raw) for said in part})
    first = part[0]
    return SealedRow(
        trace_id=trace_id,
        span_id=first.span_id,
        started_at=first.started_at,
        data=seal_encoded(cipher, plain, payload_context(project_id, trace_id, first.span_id)),
        size=sum(len(said.raw) for said in part),
        steps=[mark_of(said.span_id) for said in part],
    )


def copy_rows(cursor: Any, *, project_id: UUID, rows: Sequence[SealedRow]) -> None:
    """In binary form: as text, bytes would be twice as many."""
    if not rows:
        return
    with cursor.copy(_COPY) as copy:
        copy.set_types(("uuid", "text", "text", "timestamptz", "bytea", "int4", "int4[]"))
        for row in rows:
            copy.write_row((project_id, *msgspec.structs.astuple(row)))


_READ = """
SELECT p.trace_id, p.span_id, p.started_at, p.data, p.steps FROM traces_spanpayload p
WHERE p.project_id = %s AND p.trace_id = ANY(%s) AND p.started_at BETWEEN %s AND %s
  AND (p.steps && %s::int[] OR (p.steps IS NULL AND p.span_id = ANY(%s)))
"""
_DELETE = """
DELETE FROM traces_spanpayload p USING unnest(%s::text[], %s::text[], %s::timestamptz[])
  AS k(trace_id, span_id, started_at)
WHERE p.project_id = %s AND p.trace_id = k.trace_id AND p.span_id = k.span_id AND p.started_at = k.started_at
  AND p.trace_id = ANY(%s) AND p.started_at BETWEEN %s AND %s
"""


class Stored:
    """The rows that hold the contents of some steps which are about to be written again."""

    def __init__(self, cipher: Cipher, project_id: UUID) -> None:
        self.cipher, self.project_id = cipher, project_id
        self.contents: dict[SpanKey, bytes] = {}
        self._rows: list[tuple[str, str, dt.datetime]] = []
        self._others: list[SealedRow] = []

    def read(self, cursor: Any, keys: dict[SpanKey, dt.datetime]) -> None:
        """Find and open the rows of the steps that began then. One query."""
        trace_ids, span_ids = [key[0] for key in keys], [key[1] for key in keys]
        marks = [mark_of(span_id) for span_id in span_ids]
        window = earliest(min(keys.values())), max(keys.values())
        cursor.execute(_READ, [self.project_id, trace_ids, *window, marks, span_ids])
        for trace_id, span_id, started_at, data, steps in cursor.fetchall():
            contents = dict(
                split(
                    self.cipher,
                    self.project_id,
                    trace_id=trace_id,
                    span_id=span_id,
                    steps=steps,
                    data=data,
                )
            )
            mine = {one for one in contents if (trace_id, one) in keys}
            if not mine:
                continue  # another step with the same mark
            self.contents |= {(trace_id, one): bytes(contents[one]) for one in mine}
            self._rows.append((trace_id, span_id, started_at))
            if others := [
                Said(one, started_at, bytes(raw))
                for one, raw in contents.items()
                if one not in mine
            ]:
                seal = None if is_plain(data) else self.cipher
                self._others.append(_sealed_together(seal, self.project_id, trace_id, others))

    def make_room(self, cursor: Any) -> list[SealedRow]:
        """Delete the rows; returns what else was in them, to be written again."""
        if self._rows:
            trace_ids, span_ids, moments = (list(c) for c in zip(*self._rows, strict=True))
            cursor.execute(
                _DELETE,
                [
                    *(trace_ids, span_ids, moments, self.project_id, trace_ids),
                    *(min(moments), max(moments)),
                ],
            )
        return self._others
