"""Small drawings: sparkline, donut and its rows, the step strip of a trace, a meter."""

from collections.abc import Sequence
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import formats
from core.charts.base import AXIS, EMPTY, UNITS, Slice, Step, Value, join, linked, percent_of


def _path(values: Sequence[float], low: float, high: float) -> str:
    spread = (high - low) or 1
    last = max(len(values) - 1, 1)
    return " ".join(
        f"{'L' if i else 'M'}{i / last * 100:.2f} {100 - (v - low) / spread * 100:.2f}"
        for i, v in enumerate(values)
    )


def sparkline(
    values: Sequence[Value], *, slot: str = "c1", width: int = 96, height: int = 26
) -> SafeString:
    """A trend without axis, decorative beside its figure. Fewer than two values draw nothing."""
    points = [float(v or 0) for v in values]
    if len(points) < 2:
        return EMPTY
    pad = (max(points) - min(points)) * 0.12 or 1
    line = _path(points, min(points) - pad, max(points) + pad)
    return format_html(
        '<svg class="spark" width="{}" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none" '
        'aria-hidden="true" focusable="false"><path class="area {}" d="{} L100 100 L0 100 Z"/>'
        '<path class="ln {}" d="{}"/></svg>',
        width, height, slot, line, slot, line,
    )  # fmt: skip


def donut(
    parts: Sequence[Slice],
    *,
    unit: str = "money",
    caption: str = "",
    size: int = 156,
    width: int = 14,
) -> SafeString:
    """A ring with the total in its middle and one linked row per part (the rows are its table)."""
    total = sum((Decimal(str(p.value or 0)) for p in parts), Decimal(0))
    centre = size / 2
    ring, before = [], 0.0
    for part in parts:
        share = float(Decimal(str(part.value or 0)) / total * 100) if total > 0 else 0.0
        if share <= 0:
            continue
        # a lone part closes the ring; otherwise a gap separates neighbours
        drawn = 100.0 if share > 99.999 else max(share - 0.7, 0.3)
        circle = format_html(
            '<circle class="{}" cx="{}" cy="{}" r="{}" pathLength="100" fill="none" stroke-width="{}" '
            'stroke-dasharray="{} {}" stroke-dashoffset="{}"/>',
            part.slot, centre, centre, centre - width / 2 - 2, width, f"{drawn:.2f}", f"{100 - drawn:.2f}",
            f"{-before:.2f}",
        )  # fmt: skip
        ring.append(linked(part.href, circle))
        before += share
    middle = AXIS[unit](total)
    return format_html(
        '<div class="donut-wrap"><svg class="donut" width="{}" height="{}" viewBox="0 0 {} {}" aria-hidden="true" '
        'focusable="false"><g transform="rotate(-90 {} {})">{}</g></svg>'
        '<div class="mid"><b class="num" title="{}">{}</b><small>{}</small></div></div>{}',
        size, size, size, size, centre, centre, join(ring), UNITS[unit](total), middle, caption,
        key_list(parts, unit=unit, total=total),
    )  # fmt: skip


def key_list(
    parts: Sequence[Slice], *, unit: str = "money", total: Decimal | None = None
) -> SafeString:
    """Colour, name, figure and share of each part, one row each."""
    whole = (
        total if total is not None else sum((Decimal(str(p.value or 0)) for p in parts), Decimal(0))
    )
    rows = [
        format_html(
            '<li><span class="dot {}" aria-hidden="true"></span>{}<span class="num b">{}</span>'
            '<span class="num pc">{}</span></li>',
            part.slot,
            format_html('<a href="{}">{}</a>', part.href, part.label)
            if part.href
            else format_html('<span class="truncate">{}</span>', part.label),
            UNITS[unit](part.value),
            formats.percent(Decimal(str(part.value or 0)) / whole) if whole > 0 else formats.DASH,
        )
        for part in parts
    ]
    return format_html('<ul class="key-list mt-3">{}</ul>', join(rows))


KIND_SLOTS = {
    "llm": "c1",
    "tool": "c2",
    "retrieval": "c3",
    "embedding": "c3",
    "guard": "c5",
    "guardrail": "c5",
}


def step_strip(steps: Sequence[Step], *, width: int = 72) -> SafeString:
    """A trace's steps as one small bar coloured by kind: a readable fingerprint in a list row."""
    if not steps:
        return format_html('<span class="muted">{}</span>', formats.DASH)
    shown = steps[:40]
    weights = [max(float(s.weight or 0), 0.0) for s in shown]
    floor_weight = (sum(weights) or 1) * 0.03
    weights = [max(w, floor_weight) for w in weights]
    scale, x, rects = 100 / sum(weights), 0.0, []
    for step, weight in zip(shown, weights, strict=True):
        span = weight * scale
        slot = "err" if step.kind == "error" else KIND_SLOTS.get(step.kind, "co")
        rects.append(
            format_html(
                '<rect class="{}" x="{}" width="{}" height="8" rx="1.5"/>',
                slot,
                percent_of(x),
                percent_of(max(span - 1, 0.8)),
            )
        )
        x += span
    noun = "step" if len(steps) == 1 else "steps"
    return format_html(
        '<svg class="plot" width="{}" height="8" role="img" aria-label="{} {}">{}</svg>',
        width, len(steps), noun, join(rects),
    )  # fmt: skip


def meter(ratio: Value, *, tone: str = "", label: str = "") -> SafeString:
    """A thin bar filled to `ratio` (0 … 1)."""
    share = min(max(float(ratio or 0), 0.0), 1.0)
    return format_html(
        '<svg class="progress {}" height="8" role="img" aria-label="{}"><rect width="{}" height="8" rx="4"/></svg>',
        tone, label or formats.percent(ratio), percent_of(share * 100),
    )  # fmt: skip
