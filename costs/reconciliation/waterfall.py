"""From recorded to billed, step by step: each cause a bar that begins where the one before ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.charts.base import percent_of
from costs.reconciliation.words import KINDS

ZERO = Decimal(0)


@dataclass(frozen=True)
class Step:
    """One row: a sum (`is_sum`) or a cause; `bar` is its picture."""

    label: str
    kind: str
    usd: Decimal
    is_sum: bool
    bar: SafeString


def steps_of(
    *, recorded: Decimal, billed: Decimal, causes: Mapping[str, Decimal], unexplained: Decimal
) -> list[Step]:
    """Recorded, the causes by weight, what is unexplained, billed."""
    ordered = sorted(causes.items(), key=lambda item: abs(item[1]), reverse=True)
    parts = [(KINDS[kind].label, kind, usd) for kind, usd in ordered if usd]
    if unexplained:
        parts.append(("Unexplained", "unexplained", unexplained))
    ends = [recorded]
    for _, _, usd in parts:
        ends.append(ends[-1] + usd)
    low, high = min(ZERO, billed, *ends), max(ZERO, billed, *ends)
    width = high - low or Decimal(1)

    def bar(start: Decimal, end: Decimal, slot: str) -> SafeString:
        return _bar((min(start, end) - low) / width, abs(end - start) / width, slot)

    rows = [Step("Recorded", "", recorded, True, bar(ZERO, recorded, "c1"))]
    for (label, kind, usd), start, end in zip(parts, ends, ends[1:], strict=False):
        slot = "co" if kind == "unexplained" else "err" if usd > 0 else "ok"
        rows.append(Step(label, kind, usd, False, bar(start, end, slot)))
    rows.append(Step("Billed", "", billed, True, bar(ZERO, billed, "c1")))
    return rows


def _bar(start: Decimal, width: Decimal, slot: str) -> SafeString:
    return format_html(
        '<svg class="plot" width="100%" height="12" aria-hidden="true" focusable="false">'
        '<rect class="{}" x="{}" width="{}" height="12" rx="2"/></svg>',
        slot,
        percent_of(min(float(start) * 100, 99.6)),
        percent_of(max(float(width) * 100, 0.4)),
    )


def sums_up(steps: Sequence[Step]) -> bool:
    """Whether the rows lead from recorded to billed."""
    return sum((step.usd for step in steps[:-1]), ZERO) == steps[-1].usd
