"""The overview's key figures and its chart."""

from typing import Any

from core import formats
from core.charts import UNITS, Series
from gateway.overview.frame import MEASURES, axis_of
from gateway.overview.reading import Reading
from gateway.overview.traffic import Sums

UNIT_OF = {"calls": "count", "tokens": "tokens", "usd": "money", "errors": "count"}
# Label, colour, of which sums, and the request list's filter behind it.
_PARTS: dict[str, tuple[tuple[str, str, str, dict[str, str]], ...]] = {
    "calls": (
        ("Answered", "c1", "answered", {"state": "done"}),
        ("Kept answer", "c3", "cached", {"state": "cached"}),
        ("Cancelled", "co", "cancelled", {"state": "cancelled"}),
        ("Refused", "c2", "refused", {"state": "refused"}),
        ("No answer", "err", "failed", {"state": "unanswered"}),
    ),
    "tokens": (("Input", "c1", "input_tokens", {}), ("Output", "c5", "output_tokens", {})),
    "usd": (("Cost", "c1", "cost_usd", {}),),
    "errors": (
        ("Refused", "c2", "refused", {"state": "refused"}),
        ("No answer", "err", "failed", {"state": "unanswered"}),
    ),
}
_WHOLE = {"calls": "calls", "tokens": "tokens", "usd": "cost_usd", "errors": "wrong"}


def chart_of(reading: Reading) -> dict[str, Any]:
    """What the templates draw; without series when there is nothing to draw. Queries as `Reading.traffic`."""
    period, traffic = reading.traffic
    show, axis = reading.asked.show, axis_of(period)
    bars = [traffic.by_bar.get(at, Sums()) for at in axis.bins]
    narrow = {"state": "failing"} if show == "errors" else {}
    series = [
        Series(
            label,
            [getattr(one, name) for one in bars],
            slot,
            href=reading.links.requests(period, **more),
            hrefs=[reading.links.requests(span, **more) for span in axis.spans],
        )
        for label, slot, name, more in _PARTS[show]
        if len(_PARTS[show]) == 1 or any(getattr(one, name) for one in bars)
    ]
    whole = getattr(reading.total, _WHOLE[show])
    words = UNITS[UNIT_OF[show]](whole)
    return {
        "frame": axis,
        "series": series if whole else [],
        "unit": UNIT_OF[show],
        "hrefs": [reading.links.requests(span, **narrow) for span in axis.spans],
        "summary": f"{MEASURES[show]}, {period.span_label}: {words}.",
        "note": words,
    }


def cards_of(reading: Reading) -> list[dict[str, Any]]:
    """The key figures: context of components/kpi.html each. Queries as `Reading.traffic` and `Reading.waits`."""
    total, waits, links = reading.total, reading.waits[""], reading.links
    tokens = f"{formats.tokens(total.input_tokens)} in · {formats.tokens(total.output_tokens)} out"
    wrong = f"{formats.count(total.failed)} no answer · {formats.count(total.refused)} refused"
    saved = f"{formats.money(total.saved_usd)} saved"
    half = f"half of them {formats.duration(waits.p50_ms)}" if waits.calls else "nobody waited"
    cards = [
        ("Calls", "activity", formats.tokens(total.calls), f"{formats.count(total.fell)} fell back", {}),
        ("Tokens", "braces", formats.tokens(total.tokens), tokens, {}),
        ("Cost", "wallet", _cost(total), _unpriced(total), {}),
        ("Went wrong", "circle-alert", formats.percent(total.wrong_share), wrong, {"state": "failing"}),
        ("Cache hits", "database-zap", formats.percent(total.hit_rate), saved, {"cache": "hit"}),
        ("Waited, p95", "clock", formats.duration(waits.p95_ms), half, {}),
    ]  # fmt: skip
    return [
        {"label": label, "icon_name": icon, "figure": figure, "sub": sub, "href": links.requests(None, **narrow)}
        for label, icon, figure, sub, narrow in cards
    ]  # fmt: skip


def _cost(total: Sums) -> str:
    if not total.cost_usd and total.unpriced:
        return "Unpriced"
    return formats.money(total.cost_usd)


def _unpriced(total: Sums) -> str:
    if not total.unpriced:
        return "every answer has a price"
    return f"{formats.count(total.unpriced)} without a price"
