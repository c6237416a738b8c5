"""How steps and traces read on a page: icons, words, cost cells, geometry as text. Pure; templates only place it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from core import formats
from core.charts import Step
from traces import bars, waterfall
from traces.bars import Scale
from traces.idle import FoldedAxis
from traces.models import Trace
from traces.phases import Phase
from traces.tree import Drawn
from traces.waterfall import Extent, Row

KIND_LOOK = {
    # kind: (css class, icon, words)
    "llm": ("k-llm", "brain", "model call"),
    "embedding": ("k-retr", "database-zap", "embedding"),
    "tool": ("k-tool", "wrench", "tool"),
    "retrieval": ("k-retr", "database", "retrieval"),
    "rerank": ("k-retr", "list-filter", "rerank"),
    "guardrail": ("k-guard", "shield-check", "guardrail"),
    "evaluator": ("k-guard", "gauge", "evaluator"),
    "agent": ("k-agent", "bot", "agent"),
    "chain": ("k-agent", "route", "chain"),
    "span": ("k-agent", "circle-dot", "step"),
}
WRAPPERS = frozenset({"agent", "chain", "span"})
FLAG_WORDS = {
    waterfall.ORPHAN: ("parent not received", "Its parent step has not arrived (yet)."),
    waterfall.CYCLE: (
        "parent loop",
        "Its parents lead back to itself; shown as a step of its own.",
    ),
    waterfall.BACKWARDS: (
        "ends before start",
        "Its end lies before its start; drawn without length.",
    ),
    waterfall.EARLY: ("starts early", "It starts before its parent; clocks may differ."),
}
MAX_INDENT = 12
STRIP_KINDS = frozenset(KIND_LOOK) | {"error"}


@dataclass(frozen=True, slots=True)
class StepLine:
    """One row of the waterfall, ready to place. Numbers for SVG are strings in percent."""

    row: Row
    css: str
    icon: str
    name: str
    meta: str
    label: str
    indent: int
    lines: tuple[int, ...]
    badges: tuple[tuple[str, str, str], ...]  # (css class, words, title)
    cost_text: str
    cost_css: str
    cost_title: str
    bar_css: str
    x: str
    width: str
    first_token: str
    # What the gateway's time went on: (css class, x, width, from ms, ms, words).
    phases: tuple[tuple[str, ...], ...]
    label_x: str
    label_dx: int
    label_anchor: str
    label_css: str
    length_text: str
    dom_id: str
    is_lazy: bool
    parent: str  # element ids that say where the row belongs on an open page
    previous: str


def percent(value: float) -> str:
    """A number for an SVG attribute: at most three decimals."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{text or '0'}%"


def step_lines(
    drawn: Sequence[Drawn],
    extent: Extent,
    scale: Scale,
    fold: FoldedAxis | None = None,
    phases: Mapping[str, Sequence[Phase]] | None = None,
) -> list[StepLine]:
    """Lines for rows whose steps have all their facts; `phases` of gateway calls by step."""
    known = phases or {}
    return [_line(one, extent, scale, fold, known.get(one.row.step.span_id, ())) for one in drawn]


def _line(
    drawn: Drawn, extent: Extent, scale: Scale, fold: FoldedAxis | None, phases: Sequence[Phase]
) -> StepLine:
    row, step = drawn.row, drawn.row.step
    css, icon, words = KIND_LOOK.get(step.kind, KIND_LOOK["span"])
    name = step.name or words
    length = formats.duration(round(row.length_ms, 3)) + ("…" if step.is_running else "")
    cost_text, cost_css, cost_title = _cost_cell(row)
    bar = bars.bar_of(row, extent, scale, fold, is_split=bool(phases) and scale == "time")
    anchor, dx = ("start", 6) if bar.label == "after" else ("end", -6)
    return StepLine(
        row=row,
        css="k-err" if step.is_error else css,
        icon=icon,
        name=name,
        meta=step.model or (f"retry {row.attempt}" if row.attempt else words),
        label=_aria_label(row, name, step.model or words, length, cost_text),
        indent=min(row.level - 1, MAX_INDENT) * 14,
        lines=tuple(8 + 14 * n for n in range(min(row.level - 1, MAX_INDENT))),
        badges=_badges(row),
        cost_text=cost_text,
        cost_css=cost_css,
        cost_title=cost_title,
        bar_css=_bar_css(row),
        x=percent(bar.x),
        width=percent(bar.width),
        first_token=percent(bar.first_token) if bar.first_token and not phases else "",
        phases=_phases(row, phases, extent, fold) if scale == "time" else (),
        label_x=percent(bar.label_x),
        label_dx=dx,
        label_anchor=anchor,
        label_css=_label_css(row, bar.label),
        length_text=cost_text if scale == "cost" else length,
        dom_id=row.dom_id,
        is_lazy=drawn.is_lazy,
        parent=drawn.parent,
        previous=drawn.previous,
    )


def _phases(
    row: Row, phases: Sequence[Phase], extent: Extent, fold: FoldedAxis | None
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            f"ph {phase.name}",
            percent(x),
            percent(width),
            str(round(phase.from_ms, 3)),
            str(round(phase.length_ms, 3)),
            f"{phase.words}: {formats.duration(phase.length_ms)}",
        )
        for phase, x, width in bars.phase_bars(row, phases, extent, fold)
    )


def _aria_label(row: Row, name: str, what: str, length: str, cost: str) -> str:
    parts = [name, what, length.replace("…", " so far")]
    parts.append(
        "no cost" if cost == formats.DASH else "unpriced" if cost == "Unpriced" else f"cost {cost}"
    )
    if row.step.is_error:
        parts.append("error")
    if row.step.is_running:
        parts.append("running")
    return ", ".join([*parts, *(FLAG_WORDS[flag][0] for flag in row.flags)])


def _badges(row: Row) -> tuple[tuple[str, str, str], ...]:
    found = []
    if row.step.is_error:
        found.append(("bad", "error", row.step.error_type))
    if row.step.is_cache_hit:
        found.append(("good", "cache hit", "Answered from a cache; costs nothing"))
    if row.attempt and row.step.model:
        found.append(("", f"retry {row.attempt}", "Follows a failed attempt at the same step"))
    found += [("warn", *FLAG_WORDS[flag]) for flag in row.flags]
    return tuple(found)


def _cost_cell(row: Row) -> tuple[str, str, str]:
    """(text, class, title): an amount, $0, a dash or Unpriced; grey when it includes steps below."""
    extra = f" + {row.unpriced_below} unpriced" if row.unpriced_below else ""
    if row.step.has_cost_record and row.own_cost is None:
        return "Unpriced", "warn", "No price is known for this call; open the step for the reason"
    if row.subtree_cost is None:
        if row.unpriced_below:
            return "Unpriced", "warn", f"{row.unpriced_below} calls below have no known price"
        return formats.DASH, "nil", "Has no cost of its own"
    exact = formats.money_exact(row.subtree_cost)
    if row.cost_is_subtree:
        css = "hot" if row.level == 1 else "nil"
        return formats.money(row.subtree_cost), css, f"{exact} with the steps below{extra}"
    if row.subtree_cost == 0:
        return "$0", "nil", "Free" if not row.step.is_cache_hit else "Cache hit"
    return formats.money(row.subtree_cost), "hot" if row.is_hot else "", exact + extra


def _bar_css(row: Row) -> str:
    step = row.step
    if step.is_running:
        return "sp agent run-soft" if step.kind in WRAPPERS else "sp run"
    if step.is_error:
        return "sp err"
    if step.is_cache_hit:
        return "sp cache"
    return "sp agent" if step.kind in WRAPPERS else "sp"


def _label_css(row: Row, place: str) -> str:
    if place == "in":
        pale = row.step.kind in WRAPPERS and not row.step.is_error
        return "dur soft" if pale or row.step.is_cache_hit or row.step.is_running else "dur in"
    return "dur bad" if row.step.is_error else "dur"


def axis(
    extent: Extent, scale: Scale, fold: FoldedAxis | None = None
) -> list[tuple[str, str, str]]:
    """(x, anchor, words) of the marks above the lanes."""
    if fold and scale == "time":
        return [
            (percent(x), "middle" if x else "start", _axis_words(at) if at else "0")
            for x, at in _apart(fold.marks())
        ]
    if scale == "cost":
        shares = [(n * 25.0, extent.total_cost * Decimal(n) / 4) for n in range(5)]
        return [
            (
                percent(x),
                "start" if x == 0 else "end" if x == 100 else "middle",
                formats.money(amount),
            )
            for x, amount in (shares if extent.total_cost else shares[:1])
        ]
    return [
        (percent(x), "start" if x == 0 else "middle", "0" if at == 0 else _axis_words(at))
        for x, at in bars.ticks(extent)
    ]


def _apart(marks: list[tuple[float, float]], room: float = 9.0) -> list[tuple[float, float]]:
    """Marks whose words do not run into each other."""
    kept: list[tuple[float, float]] = []
    for mark in marks:
        if not kept or mark[0] - kept[-1][0] >= room:
            kept.append(mark)
    return kept


def breaks(fold: FoldedAxis | None) -> list[tuple[str, str, str]]:
    """(x, width, words) of the folded pauses."""
    return [
        (percent(low), percent(high - low), words)
        for low, high, words in (fold.breaks() if fold else [])
    ]


def _axis_words(milliseconds: float) -> str:
    if milliseconds < 1:
        return f"{milliseconds:g} ms"
    if milliseconds >= 1000 and milliseconds < 60_000:
        return f"{milliseconds / 1000:g} s"
    return formats.duration(milliseconds)


def strip_steps(trace: Trace) -> list[Step]:
    """The row's fingerprint for the step strip; unknown shapes in the column are skipped."""
    found = []
    for entry in trace.strip if isinstance(trace.strip, list) else []:
        if isinstance(entry, list) and len(entry) == 3 and entry[2] in STRIP_KINDS:
            found.append(Step(str(entry[2]), max(float(entry[1] or 0), 0.0)))
    return found


def with_query(url: str, **params: object) -> str:
    """`url` with the parameters that have a value."""
    query = urlencode(
        [(name, str(value)) for name, value in params.items() if value not in (None, "")]
    )
    return f"{url}?{query}" if query else url
