"""The dashboard's time charts: each a function from a question to one Chart, drawn by one template.

Each function states its queries when nothing is cached; with a warm cache it is none.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate

from django.urls import reverse

from core import formats
from core.charts import UNITS, Series
from core.charts.base import Value
from costs.dashboard import DIMENSIONS, MEASURES
from costs.forecasting.charts import with_outlook
from costs.forecasting.outlook import outlook_of
from costs.frames import NO_CALLS, Chart, Frame, frame_of, links, past_by_bin, trend_of
from costs.labels import label_of, slots_for
from costs.panels import TOP, Question, conflict
from costs.selectors.spend import Latency
from costs.selectors.sums import ZERO, Sums

NOUNS = {"hour": "Hourly", "day": "Daily", "week": "Weekly", "month": "Monthly"}
FIELDS_OF = {
    "spend": ("cost_usd",),
    "calls": ("calls",),
    "tokens": ("input_tokens", "output_tokens"),
    "errors": ("errors",),
}
UNIT_OF = {"spend": "money", "calls": "count", "tokens": "tokens", "errors": "count"}


def measured(sums: Sums, measure: str) -> Decimal | int:
    """One of MEASURES."""
    found: dict[str, Decimal | int] = {
        "spend": sums.cost_usd,
        "calls": sums.calls,
        "tokens": sums.total_tokens,
        "errors": sums.errors,
    }
    return found[measure]


def spend(question: Question) -> Chart:
    """A measure per bin, stacked by a dimension: the first five and the others; of this month's days also those to
    come. Two queries, three for API keys; one more for the forecast."""
    state, frame = question.state, frame_of(question)
    group, measure = state.choices["group"], state.choices["measure"]
    noun = "Cumulative" if state.choices["running"] == "1" else NOUNS[state.bin]
    title = f"{noun} {MEASURES[measure].lower()}"
    if reason := conflict(question, group):
        return Chart("spend", title, frame, [], empty=("Not counted together", reason))
    order = measure if measure in ("calls", "errors") else "spend"
    values, count = question.ranked(group, limit=TOP + 1, order=order)
    values = values if count <= TOP + 1 else values[:TOP]
    cells = question.series(group, values, FIELDS_OF[measure])
    now = {
        (cell.value, cell.at): measured(cell.sums, measure) for cell in cells if not cell.is_past
    }
    names, slots = question.names(group, values), slots_for(group, values)
    series = [
        Series(
            names[value],
            [now.get((value, at), ZERO) for at in frame.bins],
            slots[value],
            href=state.behind(group, value),
            hrefs=[state.behind(group, value, span) for span in frame.spans],
        )
        for value in values
    ]
    if count > len(values):
        others = [now.get((None, at), ZERO) for at in frame.bins]
        series.append(Series(f"Other ({count - len(values)})", others, "co"))
    past = past_by_bin(question, [(c.at, measured(c.sums, measure)) for c in cells if c.is_past])
    compare = Series("Before", past, "prev") if past else None
    if state.choices["running"] == "1":
        series = [_running(one) for one in series]
        compare = _running(compare) if compare else None
    whole = sum((Decimal(value) for value in now.values()), ZERO)
    unit = UNIT_OF[measure]
    chart = Chart(
        "spend",
        title,
        frame,
        series if cells else [],
        f"{title} by {DIMENSIONS[group].lower()}, {state.period.span_label}: {UNITS[unit](whole)}.",
        unit,
        compare=compare,
        hrefs=links(question, frame),
    )
    is_daily = (measure, state.bin, state.choices["running"]) == ("spend", "day", "0")
    if chart.series and is_daily and (row := outlook_of(question.project_id, state)):
        return with_outlook(chart, row, reverse("costs:forecast_of_project", args=[state.ref]))
    return chart


def _running(series: Series) -> Series:
    """Each bin with all before it; the links stay those of the bin."""
    values = list(accumulate(Decimal(value or 0) for value in series.values))
    return Series(series.label, values, series.slot, series.href, series.hrefs)


def tokens(question: Question) -> Chart:
    """Tokens by class, stacked; together they are all tokens. One query."""
    frame = frame_of(question)
    sums, total = trend_of(question, frame), question.total().current
    classes: list[tuple[str, str, Callable[[Sums], int]]] = [
        ("Uncached input", "c1", lambda one: one.uncached_input_tokens),
        ("Cache read", "c3", lambda one: one.cache_read_input_tokens),
        ("Cache write", "c2", lambda one: one.cache_write_input_tokens),
        ("Output", "c5", lambda one: one.visible_output_tokens),
        ("Reasoning", "c4", lambda one: one.reasoning_output_tokens),
    ]
    series = [Series(name, [read(one) for one in sums], slot) for name, slot, read in classes]
    return Chart(
        "tokens",
        "Tokens by class",
        frame,
        [one for one in series if any(one.values)] if total.total_tokens else [],
        f"Tokens by class, {frame.period.span_label}: {formats.tokens(total.total_tokens)}.",
        "tokens",
        hrefs=links(question, frame),
        note=f"{formats.tokens(total.input_tokens)} in · {formats.tokens(total.output_tokens)} out",
        empty=("No tokens in this range", "The calls of this range did not say what they used.")
        if total.calls
        else NO_CALLS,
    )


def calls(question: Question) -> Chart:
    """Answered and failed calls, stacked. One query."""
    frame = frame_of(question)
    sums, total = trend_of(question, frame), question.total()
    failed = Series(
        "Failed",
        [one.errors for one in sums],
        "err",
        href=question.state.traces_url(status="error"),
        hrefs=links(question, frame, status="error"),
    )
    past = past_by_bin(question, [(at, one.calls) for at, one in total.past_trend.items()])
    return Chart(
        "calls",
        "Calls",
        frame,
        [Series("Answered", [one.calls - one.errors for one in sums], "c1"), failed]
        if total.current.calls
        else [],
        f"Calls, {frame.period.span_label}: {formats.count(total.current.calls)},"
        f" {formats.count(total.current.errors)} of them failed.",
        "count",
        compare=Series("Before", past, "prev") if past else None,
        hrefs=links(question, frame),
    )


def errors(question: Question) -> Chart:
    """Failed calls by error type, stacked: the five most frequent, the others, those without a type; all together where
    a filter rules types out. Three queries."""
    frame = frame_of(question)
    sums, total = trend_of(question, frame), question.total().current
    reason = conflict(question, "error_type")
    series = [] if reason else _by_type(question, frame)
    if question.state.filters.extra != "error_type":
        known = [sum(int(one.values[i] or 0) for one in series) for i in range(len(frame.bins))]
        rest = [max(0, one.errors - known[i]) for i, one in enumerate(sums)]
        if any(rest):
            label = "Failed" if reason else label_of("error_type", "")
            series.append(Series(label, rest, "err", hrefs=links(question, frame, status="error")))
    note = f"{formats.count(total.errors)} of {formats.count(total.calls)} calls failed"
    return Chart(
        "errors",
        "Errors by type",
        frame,
        series,
        f"Failed calls by type, {frame.period.span_label}: {formats.count(total.errors)}.",
        "count",
        hrefs=links(question, frame, status="error"),
        note=f"{note}; types are not kept for this filter" if reason else note,
        empty=("No failed calls", "Every call of this range was answered.")
        if total.calls
        else NO_CALLS,
    )


def _by_type(question: Question, frame: Frame) -> list[Series]:
    """The five most frequent error types and the others together. Two queries."""
    values, count = question.ranked("error_type", limit=TOP + 1, order="errors")
    values = values if count <= TOP + 1 else values[:TOP]
    if not values:
        return []
    cells = {
        (cell.value, cell.at): cell.sums.errors
        for cell in question.series("error_type", values, ("errors",))
        if not cell.is_past
    }
    slots = slots_for("error_type", values)
    series = [
        Series(
            value,
            [cells.get((value, at), 0) for at in frame.bins],
            slots[value],
            href=question.state.traces_url(error=value),
            hrefs=links(question, frame, error=value),
        )
        for value in values
    ]
    if count > len(values):
        others = [cells.get((None, at), 0) for at in frame.bins]
        series.append(Series(f"Other ({count - len(values)})", others, "co"))
    return series


def _line(
    question: Question,
    key: str,
    title: str,
    unit: str,
    read: Callable[[Sums], Decimal | None],
    empty: str,
) -> Chart:
    """One figure per bin as a line, the period before dashed beside it. One query."""
    frame, total = frame_of(question), question.total()
    values: list[Value] = [read(one) for one in trend_of(question, frame)]
    past: list[Value] = []
    if question.state.previous:
        bins = question.state.previous.bins(question.state.bin)[: len(frame.bins)]
        past = [read(total.past_trend.get(at, Sums())) for at in bins]
        past += [None] * (len(frame.bins) - len(past))
    whole, before = read(total.current), read(total.previous)
    series = [Series(title, values, "c1")]
    if any(value is not None for value in past):
        series.append(Series("Before", past, "prev"))
    write = UNITS[unit]
    return Chart(
        key,
        title,
        frame,
        series if any(value is not None for value in values) else [],
        f"{title}, {frame.period.span_label}: {write(whole)}.",
        unit,
        is_line=True,
        hrefs=links(question, frame),
        note=f"{write(whole)} over the range"
        + (f" · {write(before)} before" if before is not None else ""),
        empty=(empty, "") if total.current.calls else NO_CALLS,
    )


def cost_per_call(question: Question) -> Chart:
    """What one priced call costs. One query."""
    return _line(
        question, "cost_per_call", "Cost per call", "money", lambda one: one.cost_per_call, "No priced calls"
    )  # fmt: skip


def cache(question: Question) -> Chart:
    """How much of the input came out of a cache. One query."""
    return _line(
        question, "cache", "Cache hit share", "percent", lambda one: one.cache_share, "No input tokens"
    )  # fmt: skip


def error_rate(question: Question) -> Chart:
    """The share of failed calls. One query."""
    return _line(
        question, "error_rate", "Error rate", "percent", lambda one: one.error_share, "No calls"
    )  # fmt: skip


def latency(question: Question) -> Chart:
    """Percentiles of how long calls take. One query."""
    return _percentiles(question, "latency", "Latency", "No call said how long it took")


def first_token(question: Question) -> Chart:
    """Percentiles of the time to the first token. One query."""
    return _percentiles(
        question, "first_token", "Time to first token", "No streamed call said when its first token came"
    )  # fmt: skip


def _percentiles(question: Question, key: str, title: str, empty: str) -> Chart:
    frame = frame_of(question)
    found = question.percentiles(key)
    if found is None:
        extra = DIMENSIONS[question.state.filters.extra].lower()
        reason = f"They are kept by provider, model, environment and agent. Remove the filter on {extra}."
        return Chart(key, title, frame, [], empty=("Times are not kept for this filter", reason))
    bins = {one.at: one for one in found[0]}
    names = (("p50", "c3"), ("p90", "c1"), ("p95", "c2"), ("p99", "c4"))
    series = [
        Series(
            name,
            [getattr(bins[at].latency, f"{name}_ms") if at in bins else None for at in frame.bins],
            slot,
        )
        for name, slot in names
    ]
    return Chart(
        key,
        title,
        frame,
        series if bins else [],
        f"{title}, {frame.period.span_label}: {_spoken(found[1])}.",
        "duration",
        is_line=True,
        hrefs=links(question, frame),
        note=f"{_spoken(found[1])} · {formats.count(sum(one.calls for one in found[0]))} calls"
        if bins
        else "",
        empty=(empty, "") if question.mark.version else NO_CALLS,
    )


def _spoken(found: Latency) -> str:
    return " · ".join(
        f"{name} {formats.duration(getattr(found, f'{name}_ms'))}"
        for name in ("p50", "p90", "p95", "p99")
    )
