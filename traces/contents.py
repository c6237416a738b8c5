"""Where what was said in a step lies: in a row of its own, or with its neighbours in one.

The ended steps of one trace that arrive together share a row (traces.ingest.packs): together they compress far better,
and one key instead of dozens finds them. Such a row has `steps`, a mark for each step in it; its `span_id` is the
first one's and its `started_at` theirs at the earliest, on the same UTC day. Rows are small enough that opening one
for a single step costs little.
"""

import datetime as dt
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import F, Func, IntegerField, Q, QuerySet
from django.db.models.functions import Coalesce

from core.crypto import Cipher
from traces.models import SpanPayload
from traces.payloads import payload_context, unpacked

_pack = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


def mark_of(span_id: str) -> int:
    """What `steps` says of a step: four bytes. Two steps may have the same; the row tells them apart when opened."""
    mark = zlib.crc32(span_id.encode())
    return mark - (1 << 32) if mark >= 1 << 31 else mark


def earliest(started_at: dt.datetime) -> dt.datetime:
    """A shared row began at or after this, for a step that began then."""
    day = started_at.astimezone(dt.UTC)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def rows_holding(
    *,
    project_id: UUID,
    trace_ids: Iterable[str],
    span_ids: Iterable[str],
    since: dt.datetime,
    until: dt.datetime,
) -> "QuerySet[SpanPayload]":
    """The rows that hold these steps, which began between `since` and `until`."""
    wanted = list(span_ids)
    return SpanPayload.objects.filter(
        Q(steps__isnull=True, span_id__in=wanted)
        | Q(steps__overlap=[mark_of(span_id) for span_id in wanted]),
        project=project_id,
        trace_id__in=list(trace_ids),
        started_at__gte=earliest(since),
        started_at__lte=until,
    )


def steps_in() -> Any:
    """How many steps' content a row holds, to annotate or sum up."""
    count = Func(F("steps"), function="cardinality", output_field=IntegerField())
    return Coalesce(count, 1)


def split(
    cipher: Cipher,
    project_id: UUID,
    *,
    trace_id: str,
    span_id: str,
    steps: list[int] | None,
    data: bytes | memoryview,
) -> Iterator[tuple[str, bytes | memoryview]]:
    """The msgpack of each step in a row by span id, in order of start. Raises core.crypto.DecryptionError."""
    plain = unpacked(cipher, data, payload_context(project_id, trace_id, span_id))
    if steps is None:
        yield span_id, plain
        return
    for name, raw in _pack.decode(plain).items():
        yield name, bytes(raw)


def split_row(cipher: Cipher, row: SpanPayload) -> Iterator[tuple[str, bytes | memoryview]]:
    """`split` for a row of the model."""
    return split(
        cipher,
        row.project_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        steps=row.steps,
        data=row.data,
    )
