"""What the pages of one session, user or error group show. Every read names the project and is bounded."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Trunc

from core.crypto import DecryptionError, data_cipher
from core.ranges import Bin, TimeRange
from costs.filters import SpendFilters
from costs.selectors.spend import Group, spend_total, top_groups
from projects.models import Project
from traces.contents import rows_holding, split_row
from traces.models import ErrorGroup, ErrorTrace, SessionRow, Trace
from traces.payloads import read_payload
from traces.search.reading import first_words
from traces.selectors.listing import previews

TURNS = 50
SAMPLES = 20
# Of a user's newest traces: which sessions and failures they were in.
RECENT = 300
OUTPUT_LENGTH = 240


@dataclass(frozen=True)
class Turn:
    """One trace of a session: what was asked, what was answered, and what the session has cost with it (None while
    nothing of it has a price)."""

    trace: Trace
    number: int
    asked: str
    answered: str
    running_cost: Decimal | None


def session_turns(
    project: Project, session_id: str, *, after: str = "", limit: int = TURNS
) -> tuple[list[Turn], str]:
    """Turns in order, after a trace of the session; and the trace id the next page begins after, or "".

    Four queries: the place, what came before it, the turns, the answers.
    """
    found = Trace.objects.filter(project=project.pk, session_id=session_id)
    number, cost, unpriced = 0, Decimal(0), 0
    place = found.filter(trace_id=after).values_list("started_at", "trace_id").first()
    if place is not None:
        past = Q(started_at__lt=place[0]) | Q(started_at=place[0], trace_id__lte=place[1])
        sums = found.filter(past).aggregate(
            n=Count("trace_id"), cost=Sum("cost_usd"), unpriced=Sum("unpriced_calls")
        )
        number, cost, unpriced = sums["n"], sums["cost"] or Decimal(0), sums["unpriced"] or 0
        found = found.exclude(past)
    rows = list(found.order_by("started_at", "trace_id").defer("metadata")[: limit + 1])
    has_more, rows = len(rows) > limit, rows[:limit]
    asked, answered = previews(project, rows), answers(project, rows)
    turns = []
    for row in rows:
        number, cost, unpriced = number + 1, cost + row.cost_usd, unpriced + row.unpriced_calls
        known = None if unpriced and not cost else cost
        turns.append(Turn(row, number, asked[row.trace_id], answered.get(row.trace_id, ""), known))
    return turns, rows[-1].trace_id if has_more else ""


def answers(project: Project, rows: list[Trace]) -> dict[str, str]:
    """The first words of each trace's output, from its first step's payload. One query."""
    roots = {row.trace_id: row for row in rows if row.root_span_id}
    if not roots:
        return {}
    payloads = rows_holding(
        project_id=project.pk,
        trace_ids=roots,
        span_ids={row.root_span_id for row in roots.values()},
        since=min(row.first_span_at for row in roots.values()),
        until=max(row.last_span_at for row in roots.values()),
    )
    cipher = data_cipher(project.organization.data_key)
    found = {}
    for payload in payloads:
        try:
            raw = dict(split_row(cipher, payload)).get(roots[payload.trace_id].root_span_id)
        except DecryptionError:
            continue
        if raw is not None:
            output = read_payload(raw).get("output")
            found[payload.trace_id] = first_words(output)[:OUTPUT_LENGTH]
    return found


@dataclass(frozen=True)
class UserFigures:
    """A user's spend per day and the models it went to."""

    total: Group
    models: list[Group]


def user_figures(project: Project, user_id: str, period: TimeRange) -> UserFigures:
    """From the sums that the dashboard reads. Two or three queries."""
    filters = SpendFilters(extra="user", values=(user_id,))
    total = spend_total(project.pk, period, filters, trend=period.bin)
    models = top_groups(project.pk, period, filters, ("model", "user"), limit=6)
    return UserFigures(total, models.groups)


def user_recent(project: Project, user_id: str) -> tuple[list[SessionRow], list[ErrorGroup]]:
    """The sessions and failures of a user's newest 300 traces, newest first. Four queries."""
    newest = (
        Trace.objects.filter(project=project.pk, user_id=user_id)
        .order_by("-started_at")
        .values_list("trace_id", "session_id", "error_count")[:RECENT]
    )
    rows = list(newest)
    sessions = SessionRow.objects.filter(
        project=project.pk, session_id__in={session for _, session, _ in rows if session}
    ).order_by("-last_at", "-session_id")[:10]
    failed = [trace_id for trace_id, _, errors in rows if errors]
    kinds = ErrorTrace.objects.filter(project=project.pk, trace_id__in=failed)
    errors = ErrorGroup.objects.filter(
        project=project.pk, fingerprint__in=set(kinds.values_list("fingerprint", flat=True))
    ).order_by("-last_at", "-fingerprint")[:10]
    return list(sessions), list(errors)


def error_samples(project: Project, fingerprint: str) -> list[Trace]:
    """The newest traces with this failure. Two queries."""
    newest = (
        ErrorTrace.objects.filter(project=project.pk, fingerprint=fingerprint)
        .order_by("-last_at")
        .values_list("trace_id", flat=True)[:SAMPLES]
    )
    order = {trace_id: place for place, trace_id in enumerate(newest)}
    found = Trace.objects.filter(project=project.pk, trace_id__in=list(order)).defer("metadata")
    return sorted(found, key=lambda trace: order[trace.trace_id])


def error_trends(
    project: Project, keys: list[str], period: TimeRange, size: Bin
) -> dict[str, list[int]]:
    """Failed steps per bin of the range for each group, also the empty bins. One query."""
    bins = period.bins(size)
    place = {at: index for index, at in enumerate(bins)}
    found = {key: [0] * len(bins) for key in keys}
    counted = (
        ErrorTrace.objects.filter(
            project=project.pk,
            fingerprint__in=keys,
            last_at__gte=period.start,
            last_at__lt=period.end,
        )
        .annotate(bin=Trunc("last_at", size, tzinfo=dt.UTC))
        .values("fingerprint", "bin")
        .annotate(n=Sum("spans"))
        .values_list("fingerprint", "bin", "n")
    )
    for key, at, count in counted:
        if at in place:
            found[key][place[at]] = count
    return found


@dataclass(frozen=True)
class Share:
    """One value and how many traces have it."""

    value: str
    traces: int


def error_shares(project: Project, fingerprint: str, column: str) -> list[Share]:
    """The releases, environments or users a failure was seen in most. One query."""
    counted = (
        ErrorTrace.objects.filter(project=project.pk, fingerprint=fingerprint)
        .exclude(**{column: ""})
        .values(value=F(column))
        .annotate(n=Count("trace_id"))
        .order_by("-n", "value")[:8]
    )
    return [Share(row["value"], row["n"]) for row in counted]


def failures_of(project: Project, trace_ids: list[str]) -> dict[str, list[ErrorGroup]]:
    """The error groups that these traces are in. Two queries."""
    pairs = list(
        ErrorTrace.objects.filter(project=project.pk, trace_id__in=trace_ids).values_list(
            "trace_id", "fingerprint"
        )
    )
    groups = {
        group.fingerprint: group
        for group in ErrorGroup.objects.filter(
            project=project.pk, fingerprint__in={key for _, key in pairs}
        )
    }
    found: dict[str, list[ErrorGroup]] = {}
    for trace_id, key in pairs:
        if key in groups:
            found.setdefault(trace_id, []).append(groups[key])
    return found
