"""Template filters and tags for figures: money, tokens, durations, changes, ids, times. Rules in core.formats."""

from datetime import UTC, date, datetime
from typing import Any, Literal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import formats, person_formats
from core.templatetags.ui import icon

register = template.Library()


def _number(value: object) -> formats.Number | None:
    """None for what is no figure (None, "", a missing variable); numeric text is read exactly."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return formats.decimal(value)
    return value  # type: ignore[return-value]


@register.filter
def money(value: object) -> SafeString:
    """`$0.0847` with the exact amount in its title."""
    amount = _number(value)
    if amount is None:
        return format_html('<span class="muted">{}</span>', formats.DASH)
    return format_html(
        '<span class="num" title="{}">{}</span>', formats.money_exact(amount), formats.money(amount)
    )


@register.filter
def plain(value: object) -> str:
    """Every digit of an amount, no exponent, no unit."""
    amount = _number(value)
    return formats.DASH if amount is None else formats.plain_decimal(formats.decimal(amount))


@register.simple_tag
def cost(
    value: object,
    status: str | None = None,
    reason: str = "",
    href: str = "",
    action: str = "Set price",
) -> SafeString:
    """A cost cell by price status: an amount, `$0`, `—` (no cost by nature) or an `Unpriced` badge with its action."""
    amount = _number(value)
    if status == "unpriced":
        badge = format_html(
            '<span class="badge warn" title="{}">Unpriced</span>',
            reason or "No price is known for this model and date",
        )
        if not href:
            return badge
        return format_html(
            '<span class="unpriced">{} <a class="link xs" href="{}">{}</a></span>',
            badge,
            href,
            action,
        )
    if status == "free" or (amount is not None and amount == 0 and status):
        return format_html('<span class="num muted" title="{}">$0</span>', reason or "Free")
    if status == "partial":
        return format_html(
            '{} <span class="badge warn" title="{}">partial</span>',
            money(amount),
            reason or "Part of this usage has no price; the amount is a lower bound",
        )
    if amount is None:
        return format_html(
            '<span class="muted" title="{}">{}</span>', reason or "Has no cost", formats.DASH
        )
    return money(amount)


@register.simple_tag
def unpriced_note(calls: int | None, href: str = "") -> SafeString | str:
    """`+ 12,104 unpriced calls` beside a sum; nothing when every call has a price."""
    if not calls:
        return ""
    text = f"+ {formats.count(calls)} unpriced {'call' if calls == 1 else 'calls'}"
    if href:
        return format_html('<a class="more" href="{}">{}</a>', href, text)
    return format_html('<span class="muted">{}</span>', text)


@register.filter
def tokens(value: object) -> SafeString:
    """`1.02M` with the exact count in its title."""
    amount = _number(value)
    return format_html(
        '<span class="num" title="{}">{}</span>', formats.count(amount), formats.tokens(amount)
    )


@register.filter
def count(value: object) -> str:
    """`1,102`."""
    return formats.count(_number(value))


@register.filter
def duration(milliseconds: object) -> str:
    """Milliseconds as `610 ms`, `11.84 s`, `1m 48s`."""
    return formats.duration(_number(milliseconds))


@register.filter
def percent(ratio: object) -> str:
    """A fraction as `18.2%`."""
    return formats.percent(_number(ratio))


@register.filter
def bytes(value: int | None) -> str:
    """`1.2 MB`."""
    return formats.byte_size(value)


@register.filter
def short_id(value: object) -> SafeString:
    """`0192f4…8be1` in mono, the whole id in its title."""
    return format_html('<span class="mono" title="{}">{}</span>', value, formats.short_id(value))


@register.simple_tag
def delta(
    current: object,
    previous: object,
    rise: Literal["bad", "good", "neutral"] = "bad",
    base_calls: int | None = None,
) -> SafeString:
    """The change against an earlier figure, with arrow, tone and words for screen readers."""
    return delta_badge(
        formats.delta(_number(current), _number(previous), rise=rise, base_calls=base_calls)
    )


@register.simple_tag
def delta_badge(change: formats.Delta) -> SafeString:
    """A `core.formats.Delta` made by a selector."""
    if not change.icon:
        return format_html('<span class="delta" title="{}">{}</span>', change.words, change.text)
    spoken = change.words.split(" ")[0] if change.icon.startswith("arrow") else ""
    return format_html(
        '<span class="delta {}" title="{}">{}<span class="sr">{} </span>{}</span>',
        change.tone,
        change.words,
        icon(change.icon),
        spoken,
        change.text,
    )


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if timezone.is_aware(value) else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


def _time_tag(moment: datetime, text: str, form: str) -> SafeString:
    return format_html(
        '<time-ago format="{}"><time datetime="{}" title="{}">{}</time></time-ago>',
        form,
        moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        formats.exact_time(moment),
        text,
    )


@register.simple_tag
def time_ago(value: Any, now: datetime | None = None) -> SafeString | str:
    """`4 min ago`, kept fresh in the browser; the reader's own zone in the title."""
    moment = _moment(value)
    if moment is None:
        return formats.DASH
    return _time_tag(moment, formats.relative_time(moment, now or timezone.now()), "relative")


@register.filter
def clock(value: Any) -> SafeString | str:
    """`14:32:07`, rewritten to the reader's zone in the browser."""
    moment = _moment(value)
    return formats.DASH if moment is None else _time_tag(moment, formats.clock(moment), "clock")


@register.filter
def day(value: Any) -> SafeString | str:
    """`Nov 12` or `Nov 12, 2025` (UTC: days are billing days)."""
    moment = _moment(value)
    if moment is None:
        return formats.DASH
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.astimezone(UTC).date().isoformat(),
        formats.exact_time(moment),
        formats.date(moment, timezone.now()),
    )


@register.filter
def day_time(value: Any) -> SafeString | str:
    """`Nov 12 14:32:07`, day and time of the reader's zone, rewritten in the browser."""
    at = _moment(value)
    return (
        formats.DASH if at is None else _time_tag(at, formats.day_time(at, timezone.now()), "day")
    )


@register.filter
def moment(value: Any) -> SafeString | str:
    """`2026-11-20 14:32:07 UTC`, rewritten to the reader's zone in the browser."""
    at = _moment(value)
    return formats.DASH if at is None else _time_tag(at, formats.exact_time(at), "datetime")


@register.simple_tag
def reader_attributes() -> SafeString | str:
    """Attributes of <html>: what the scripts that write times and durations need to know of the reader."""
    reader = person_formats.current()
    decimal = "" if reader.decimal == "." else format_html(' data-decimal="{}"', reader.decimal)
    zone = format_html(' data-time-zone="{}"', str(reader.zone)) if reader.zone else ""
    return format_html("{}{}", decimal, zone)


@register.filter
def local_input(at: datetime) -> str:
    """An instant as a datetime-local field has it, in the reader's zone."""
    return f"{at.astimezone(person_formats.zone()):%Y-%m-%dT%H:%M}"


@register.simple_tag
def reader_zone() -> str:
    """The name of the zone `local_input` writes."""
    return str(person_formats.zone())
