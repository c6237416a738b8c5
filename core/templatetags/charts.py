"""Template tags around core.charts. A view hands over the data classes of core.charts; the tag draws them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import template
from django.utils.safestring import SafeString

from core import charts

register = template.Library()


def _series(items: Iterable[Any]) -> list[charts.Series]:
    return [charts.Series(**item) if isinstance(item, Mapping) else item for item in items]


def _slices(items: Iterable[Any]) -> list[charts.Slice]:
    return [charts.Slice(**item) if isinstance(item, Mapping) else item for item in items]


def _steps(items: Iterable[Any]) -> list[charts.Step]:
    steps = []
    for item in items or ():
        if isinstance(item, Mapping):
            steps.append(charts.Step(**item))
        elif isinstance(item, str):
            steps.append(charts.Step(item))
        elif isinstance(item, tuple | list):
            steps.append(charts.Step(*item))
        else:
            steps.append(item)
    return steps


@register.simple_tag
def stacked_bars(
    labels: Sequence[str], series: Iterable[Any], summary: str, **options: Any
) -> SafeString:
    """Bars over time: see core.charts.stacked_bars."""
    return charts.stacked_bars(labels, _series(series), summary=summary, **options)


@register.simple_tag
def line_chart(
    labels: Sequence[str], series: Iterable[Any], summary: str, **options: Any
) -> SafeString:
    """Lines over time: see core.charts.line_chart."""
    return charts.line_chart(labels, _series(series), summary=summary, **options)


@register.simple_tag
def chart_legend(series: Iterable[Any]) -> SafeString:
    """Colour and name of each series."""
    return charts.legend(_series(series))


@register.simple_tag
def volume_strip(
    labels: Sequence[str], ok: Sequence[int], error: Sequence[int], summary: str, **options: Any
) -> SafeString:
    """Traces per interval, ok and error."""
    return charts.volume_strip(labels, ok, error, summary=summary, **options)


@register.simple_tag
def sparkline(
    values: Sequence[Any], slot: str = "c1", width: int = 96, height: int = 26
) -> SafeString:
    """A small trend line."""
    return charts.sparkline(values or (), slot=slot, width=width, height=height)


@register.simple_tag
def donut(parts: Iterable[Any], **options: Any) -> SafeString:
    """A ring and its rows."""
    return charts.donut(_slices(parts), **options)


@register.simple_tag
def key_list(parts: Iterable[Any], **options: Any) -> SafeString:
    """The rows of a donut alone."""
    return charts.key_list(_slices(parts), **options)


@register.simple_tag
def step_strip(steps: Iterable[Any], width: int = 72) -> SafeString:
    """A trace's steps as one small bar: items are core.charts.Step, {"kind", "weight"}, (kind, weight) or a kind."""
    return charts.step_strip(_steps(steps), width=width)


@register.simple_tag
def meter(ratio: Any, tone: str = "", label: str = "") -> SafeString:
    """A thin bar filled to a fraction."""
    return charts.meter(ratio, tone=tone, label=label)
