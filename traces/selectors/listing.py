"""The trace list: keyset pages, totals, volume, "n new". Every read names the project and is bounded."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import (
    BooleanField,
    Count,
    DateTimeField,
    F,
    Func,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
)
from django.db.models.functions import Cast

from core.crypto import DecryptionError, data_cipher
from core.cursors import decode_place, encode_place
from projects.models import Project
from traces.filters import SORTS, TraceFilters
from traces.models import SpanStatus, Trace
from traces.payloads import open_text, payload_context
from traces.query_terms import has_text
from traces.selectors.covered import Few, few
from traces.selectors.words import is_broad, text_condition

PAGE_SIZE = 50
COUNT_CAP = 10_000
VOLUME_SAMPLE = 200_000
# Whether a trace has a word is looked up trace by trace when many have it.
TEXT_CAP = 2_000
TEXT_SAMPLE = 5_000
NEW_CAP = 99
NEW_SLACK = dt.timedelta(minutes=10)
BUCKETS = (
    *(dt.timedelta(seconds=n) for n in (10, 30)),
    *(dt.timedelta(minutes=n) for n in (1, 5, 10, 15, 30)),
    *(dt.timedelta(hours=n) for n in (1, 2, 3, 6, 12)),
    *(dt.timedelta(days=n) for n in (1, 2, 7, 14)),
)
# What the order by each column compares; the others are whole numbers.
_KINDS: dict[str, type] = {"started": dt.datetime, "cost": Decimal, "duration": float}
UNREADABLE = "Cannot be decrypted with the configured keys"


@dataclass(frozen=True)
class TracePage:
    """One page in the reader's order; `newer` and `older` are cursors of the pages before and after, or empty."""

    rows: list[Trace]
    before: str
    after: str
    snapshot: str


@dataclass(frozen=True)
class Totals:
    """Counted up to a cap: beyond it `count` is the cap and `cost_usd` covers only the newest that many."""

    count: int
    is_capped: bool
    cost_usd: Decimal
    unpriced_calls: int


@dataclass(frozen=True)
class Volume:
    """Traces per interval. `start` is later than the range's when the newest sample does not reach its beginning."""

    step: dt.timedelta
    starts: list[dt.datetime]
    ok: list[int]
    errors: list[int]
    is_partial: bool
    # How many traces were looked at, at most.
    sample: int = VOLUME_SAMPLE

    @property
    def total(self) -> int:
        return sum(self.ok) + sum(self.errors)


def matching(project: Project, filters: TraceFilters) -> QuerySet[Trace]:
    """Traces of the project that match, in no order. Lazy; free text costs up to two small queries (words)."""
    text = text_condition(project, filters.range)
    return Trace.objects.filter(project=project).filter(filters.where(text=text))


def _named(found: QuerySet[Trace], those: Few | None) -> QuerySet[Trace]:
    return found.filter(trace_id__in=those.ids) if those else found


def trace_page(
    project: Project,
    filters: TraceFilters,
    *,
    after: str = "",
    before: str = "",
    limit: int = PAGE_SIZE,
    with_metadata: bool = False,
) -> TracePage:
    """A page after or before a cursor, or the first one. One query (three when nothing matches), one more where
    covered.few may help.

    The snapshot is the one the rows were read in (or their ids, where few), so "new since then" misses and repeats
    nothing. Raises InvalidCursorError.
    """
    backwards = bool(before and not after)
    token = before if backwards else after
    those = few(project, filters)
    found = _sorted(_named(matching(project, filters), those), filters, flip=backwards)
    if token:
        found = found.filter(_beyond(decode_cursor(token, filters), filters, flip=backwards))
    if filters.is_narrowed and filters.sort_key == "started":
        # Ids first: what common filters read is in the index, so rows that do not match are never fetched.
        ids = found.values("trace_id")[: limit + 1]
        found = _sorted(
            Trace.objects.filter(project=project, trace_id__in=ids), filters, flip=backwards
        )
    found = found.annotate(read_in=Cast(Func(function="pg_current_snapshot"), TextField()))
    if not with_metadata:
        found = found.defer("metadata")
    rows = list(found[: limit + 1])
    read_in = those.snapshot if those else rows[0].read_in if rows else ""
    snapshot = read_in or current_snapshot()
    if not rows and not token and not those:
        rows = list(found[: limit + 1])  # one may have been committed in between
    has_more, rows = len(rows) > limit, rows[:limit]
    if backwards:
        rows.reverse()
    has_before = has_more if backwards else bool(token)
    has_after = bool(token) if backwards else has_more
    return TracePage(
        rows=list[Trace](rows),
        before=encode_cursor(rows[0], filters) if rows and has_before else "",
        after=encode_cursor(rows[-1], filters) if rows and has_after else "",
        snapshot=snapshot,
    )


def _sorted(found: QuerySet[Trace], filters: TraceFilters, *, flip: bool) -> QuerySet[Trace]:
    column = SORTS[filters.sort_key]
    if column == "tokens":
        found = found.annotate(tokens=F("input_tokens") + F("output_tokens"))
    sign = "-" if filters.is_descending != flip else ""
    return found.order_by(f"{sign}{column}", f"{sign}trace_id")


def _beyond(at: tuple[Any, str], filters: TraceFilters, *, flip: bool) -> Q:
    """Strictly past `at` in reading order. A running trace's duration is unknown and sorts as the longest, which is
    also what PostgreSQL does with NULL."""
    value, trace_id = at
    column = SORTS[filters.sort_key]
    down = filters.is_descending != flip
    tie = Q(**{f"trace_id__{'lt' if down else 'gt'}": trace_id})
    if value is None:
        same = Q(**{f"{column}__isnull": True}) & tie
        return same | Q(**{f"{column}__isnull": False}) if down else same
    past = Q(**{f"{column}__{'lt' if down else 'gt'}": value}) | Q(**{column: value}) & tie
    if column == "duration_ms" and not down:
        return past | Q(duration_ms__isnull=True)
    # The first condition is implied by the second and lets the index start at the cursor.
    return Q(**{f"{column}__{'lte' if down else 'gte'}": value}) & past


def sort_value(row: Trace, filters: TraceFilters) -> Any:
    column = SORTS[filters.sort_key]
    return row.input_tokens + row.output_tokens if column == "tokens" else getattr(row, column)


def encode_cursor(row: Trace, filters: TraceFilters) -> str:
    """A row's place in the chosen order, for a URL."""
    return encode_place(filters.sort_key, sort_value(row, filters), row.trace_id)


def decode_cursor(token: str, filters: TraceFilters) -> tuple[Any, str]:
    """The reverse; raises InvalidCursorError for anything this server would not have written."""
    key = filters.sort_key
    return decode_place(token, sort=key, kind=_KINDS.get(key, int), is_nullable=key == "duration")


def current_snapshot() -> str:
    """PostgreSQL's idea of what is visible now, as text. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        return str(cursor.fetchone()[0])


def count_cap(filters: TraceFilters) -> int:
    """How many are counted at most."""
    return TEXT_CAP if any(map(has_text, filters.nodes)) else COUNT_CAP


def trace_totals(project: Project, filters: TraceFilters) -> Totals:
    """How many match and what they cost, the newest 10,000 at most, 2,000 with text. One query, two where
    covered.few may help."""
    cap = count_cap(filters)
    found = _named(matching(project, filters), few(project, filters))
    newest = found.order_by("-started_at")[: cap + 1]
    sums = newest.aggregate(
        n=Count("trace_id"), cost=Sum("cost_usd"), unpriced=Sum("unpriced_calls")
    )
    return Totals(
        count=min(sums["n"], cap),
        is_capped=sums["n"] > cap,
        cost_usd=sums["cost"] or Decimal(0),
        unpriced_calls=sums["unpriced"] or 0,
    )


def sample_start(project: Project, filters: TraceFilters, size: int) -> dt.datetime | None:
    """When the `size` newest traces of the range begin, None when the range holds fewer. One index-only query."""
    found = Trace.objects.filter(
        project=project, started_at__gte=filters.range.start, started_at__lt=filters.range.end
    )
    return (
        found.order_by("-started_at").values_list("started_at", flat=True)[size : size + 1].first()
    )


def bucket_of(length: dt.timedelta, *, at_most: int = 60) -> dt.timedelta:
    """The smallest round interval that cuts `length` into at most that many."""
    return next((step for step in BUCKETS if length / step <= at_most), BUCKETS[-1])


def trace_volume(project: Project, filters: TraceFilters) -> Volume:
    """Traces per interval of the range, of the newest 200,000 traces in it, or 5,000 for a common word. Two queries,
    three where covered.few may help."""
    is_text = is_broad(project, filters.nodes, limit=TEXT_SAMPLE)
    sample = TEXT_SAMPLE if is_text else VOLUME_SAMPLE
    first = sample_start(project, filters, sample)
    step = bucket_of(filters.range.duration)
    found = _named(matching(project, filters), few(project, filters))
    if first is not None:
        found = found.filter(started_at__gt=first)
    counted = (
        found.annotate(
            bucket=Func(
                Value(step),
                F("started_at"),
                Value(_EPOCH),
                function="date_bin",
                output_field=DateTimeField(),
            )
        )
        .values("bucket")
        .annotate(n=Count("trace_id"), failed=Count("trace_id", filter=Q(status=SpanStatus.ERROR)))
        .values_list("bucket", "n", "failed")
    )
    by_start = {bucket: (n - failed, failed) for bucket, n, failed in counted}
    at = _EPOCH + (filters.range.start - _EPOCH) // step * step
    starts = []
    while at < filters.range.end:
        starts.append(at)
        at += step
    pairs = [by_start.get(start, (0, 0)) for start in starts]
    return Volume(
        step=step,
        starts=starts,
        ok=[ok for ok, _ in pairs],
        errors=[errors for _, errors in pairs],
        is_partial=first is not None,
        sample=sample,
    )


_EPOCH = dt.datetime(2000, 1, 3, tzinfo=dt.UTC)  # a Monday, so weeks start on Monday


def new_trace_count(
    project: Project, filters: TraceFilters, *, snapshot: str, since: dt.datetime
) -> int:
    """Matching traces that `snapshot` could not see, 100 at most. One query over the newest arrivals only."""
    arrived = _arrived(project, filters, snapshot=snapshot, since=since)
    return arrived.values("trace_id")[: NEW_CAP + 1].count()


def new_traces(
    project: Project, filters: TraceFilters, *, snapshot: str, since: dt.datetime, limit: int
) -> tuple[list[Trace], int]:
    """The newest `limit` matching traces that `snapshot` could not see, and how many more there are (100 at most).

    One query, a second one when there are more.
    """
    arrived = _arrived(project, filters, snapshot=snapshot, since=since)
    rows = list(arrived.defer("metadata").order_by("-created_at", "-trace_id")[: limit + 1])
    if len(rows) <= limit:
        return rows, 0
    return rows[:limit], arrived.values("trace_id")[: limit + NEW_CAP].count() - limit


def _arrived(
    project: Project, filters: TraceFilters, *, snapshot: str, since: dt.datetime
) -> QuerySet[Trace]:
    is_visible = Func(
        Func(
            Cast(F("created_xid"), TextField()),
            template="%(expressions)s::xid8",
            output_field=TextField(),
        ),
        Func(Value(snapshot), template="%(expressions)s::pg_snapshot", output_field=TextField()),
        function="pg_visible_in_snapshot",
        output_field=BooleanField(),
    )
    return (
        matching(project, filters)
        .filter(created_at__gte=since - NEW_SLACK)
        .annotate(is_visible=is_visible)
        .filter(is_visible=False)
    )


def trace_outside_range(project: Project, filters: TraceFilters) -> Trace | None:
    """The trace whose id is exactly the search text, whatever the range and filters. One query by primary key."""
    return Trace.objects.filter(project=project, trace_id=filters.q).first() if filters.q else None


def previews(project: Project, rows: Sequence[Trace]) -> dict[str, str]:
    """The first words of each trace's input, opened with the organisation's key; no query."""
    texts = {}
    for row in rows:
        try:
            cipher = data_cipher(project.organization.data_key)
            context = payload_context(project.pk, row.trace_id, "preview")
            texts[row.trace_id] = open_text(cipher, row.preview, context)
        except DecryptionError:
            texts[row.trace_id] = UNREADABLE
    return texts
