"""How figures are written: exact vectors of every rule, and the cells made from them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.template import Context, Template

from core import formats

NOW = datetime(2026, 11, 20, 14, 32, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (Decimal(0), "$0"),
        (Decimal("0E-12"), "$0"),
        (Decimal("12847.32"), "$12,847.32"),
        (Decimal("12847.325"), "$12,847.33"),
        (Decimal(1), "$1.00"),
        (Decimal("1.005"), "$1.01"),
        (Decimal("0.997"), "$0.997"),
        (Decimal("0.9994"), "$0.999"),
        (Decimal("0.9996"), "$1.00"),
        (Decimal("0.221"), "$0.221"),
        (Decimal("0.5"), "$0.50"),
        (Decimal("0.0847"), "$0.0847"),
        (Decimal("0.08471234"), "$0.0847"),
        (Decimal("0.09999"), "$0.10"),
        (Decimal("0.00002"), "$0.00002"),
        (Decimal("0.000000012345"), "$0.0000000123"),
        (Decimal("0.000000000001"), "$0.000000000001"),
        (Decimal("-3.5"), "−$3.50"),
        (Decimal("-0.02"), "−$0.02"),
        (0.1, "$0.10"),
        (7, "$7.00"),
    ],
)
def test_money_is_cents_from_one_dollar_and_three_digits_below(value: Any, text: str) -> None:
    assert formats.money(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "$0"),
        ("0.0025", "$0.0025"),
        ("12.4", "$12.40"),
        ("944", "$944"),
        ("9999.4", "$9,999"),
        ("10000", "$10K"),
        ("12847.32", "$12.8K"),
        ("999949", "$999.9K"),
        ("999950", "$1M"),
        ("1200000", "$1.2M"),
        ("999950000", "$1B"),
        ("-12847.32", "−$12.8K"),
    ],
)
def test_compact_money_never_shows_a_thousand_thousands(value: str, text: str) -> None:
    assert formats.money(Decimal(value), compact=True) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12847.3214", "$12,847.3214"),
        ("0.084712340000", "$0.08471234"),
        ("-0.000000000001", "−$0.000000000001"),
        ("5", "$5"),
        ("5.1", "$5.10"),
    ],
)
def test_exact_money_shows_every_digit(value: str, text: str) -> None:
    assert formats.money_exact(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0"),
        (18412, "18,412"),
        (99_999, "99,999"),
        (100_000, "100K"),
        (388_123, "388K"),
        (999_499, "999K"),
        (999_500, "1M"),
        (1_020_000, "1.02M"),
        (12_345_678, "12.3M"),
        (10**9, "1B"),
    ],
)
def test_tokens_are_exact_until_a_hundred_thousand(value: int | None, text: str) -> None:
    assert formats.tokens(value) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "—"),
        (0, "0 ms"),
        (0.4, "0.4 ms"),
        (610, "610 ms"),
        (999.4, "999 ms"),
        (999.5, "1.00 s"),
        (11_840, "11.84 s"),
        (59_994, "59.99 s"),
        (59_995, "1m 0s"),
        (108_000, "1m 48s"),
        (3_599_499, "59m 59s"),
        (3_599_500, "1h 00m"),
        (7_500_000, "2h 05m"),
    ],
)
def test_durations(milliseconds: Any, text: str) -> None:
    assert formats.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "—"),
        ("0", "0%"),
        ("1", "100%"),
        ("0.182", "18.2%"),
        ("0.0005", "0.1%"),
        ("0.0004", "<0.1%"),
        ("0.9996", ">99.9%"),
        ("-0.05", "−5.0%"),
        ("12.5", "1,250.0%"),
    ],
)
def test_percent_never_rounds_to_nothing_or_everything(ratio: str | None, text: str) -> None:
    assert formats.percent(None if ratio is None else Decimal(ratio)) == text


@pytest.mark.parametrize(
    ("current", "previous", "rise", "calls", "text", "tone", "icon"),
    [
        ("118.2", "100", "bad", 500, "18.2%", "bad", "arrow-up-right"),
        ("110", "100", "bad", 500, "10.0%", "", "arrow-up-right"),
        ("110.1", "100", "bad", 500, "10.1%", "bad", "arrow-up-right"),
        ("96.6", "100", "bad", 500, "3.4%", "good", "arrow-down-right"),
        ("118.2", "100", "bad", 19, "18.2%", "", "arrow-up-right"),
        ("118.2", "100", "bad", 20, "18.2%", "bad", "arrow-up-right"),
        ("118.2", "100", "good", 500, "18.2%", "good", "arrow-up-right"),
        ("80", "100", "good", 500, "20.0%", "bad", "arrow-down-right"),
        ("118.2", "100", "neutral", 500, "18.2%", "", "arrow-up-right"),
        ("5", "0", "bad", 500, "new", "", "plus"),
        ("0", "0", "bad", 500, "0%", "", ""),
        ("100", "100", "bad", 500, "0%", "", ""),
        (None, "100", "bad", 500, "—", "", ""),
        ("100", None, "bad", 500, "—", "", ""),
    ],
)
def test_delta_tone(
    current: str | None,
    previous: str | None,
    rise: Any,
    calls: int,
    text: str,
    tone: str,
    icon: str,
) -> None:
    change = formats.delta(
        None if current is None else Decimal(current),
        None if previous is None else Decimal(previous),
        rise=rise,
        base_calls=calls,
    )
    assert (change.text, change.tone, change.icon) == (text, tone, icon)


def test_few_calls_say_so() -> None:
    assert formats.delta(120, 100, base_calls=3).words == "up 20.0%, few data"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0192f4a1b2c38be1", "0192f4…8be1"),
        ("short-id", "short-id"),
        ("123456789012", "123456789012"),
    ],
)
def test_short_id_keeps_both_ends(value: str, text: str) -> None:
    assert formats.short_id(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (512, "512 B"),
        (1024, "1 KB"),
        (32_256, "31.5 KB"),
        (1_048_524, "1023.9 KB"),
        (1_048_530, "1 MB"),
        (1_258_291, "1.2 MB"),
    ],
)
def test_byte_sizes(value: int | None, text: str) -> None:
    assert formats.byte_size(value) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=4), "just now"),
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=1), "Nov 19"),
        (timedelta(days=400), "Oct 16, 2025"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_relative_times(ago: timedelta, text: str) -> None:
    assert formats.relative_time(NOW - ago, NOW) == text


def _render(source: str, **context: Any) -> str:
    return Template(source).render(Context(context))


def test_money_filter_carries_the_exact_amount() -> None:
    html = _render("{{ x|money }}", x=Decimal("0.084712340000"))
    assert html == '<span class="num" title="$0.08471234">$0.0847</span>'


@pytest.mark.parametrize("value", [None, "", "missing"])
def test_money_of_nothing_is_a_dash(value: Any) -> None:
    context = {} if value == "missing" else {"x": value}
    assert _render("{{ x|money }}", **context) == '<span class="muted">—</span>'


def test_three_cost_cells_differ() -> None:
    free = _render("{% cost x 'free' %}", x=Decimal(0))
    none = _render("{% cost x %}", x=None)
    unpriced = _render("{% cost x 'unpriced' reason=why %}", x=None, why='no "price"')
    assert free == '<span class="num muted" title="Free">$0</span>'
    assert none == '<span class="muted" title="Has no cost">—</span>'
    assert unpriced == '<span class="badge warn" title="no &quot;price&quot;">Unpriced</span>'


def test_priced_zero_is_zero_and_partial_is_marked() -> None:
    assert ">$0</span>" in _render("{% cost x 'priced' %}", x=Decimal("0E-12"))
    partial = _render("{% cost x 'partial' %}", x=Decimal("1.5"))
    assert "$1.50</span>" in partial
    assert ">partial</span>" in partial


def test_unpriced_cell_offers_its_action() -> None:
    html = _render("{% cost x 'unpriced' href=url %}", x=None, url="/set/?a=1&b=2")
    assert '<a class="link xs" href="/set/?a=1&amp;b=2">Set price</a>' in html


@pytest.mark.parametrize(
    ("calls", "html"),
    [
        (0, ""),
        (None, ""),
        (1, '<span class="muted">+ 1 unpriced call</span>'),
        (12104, '<span class="muted">+ 12,104 unpriced calls</span>'),
    ],
)
def test_sums_name_their_unpriced_calls(calls: int | None, html: str) -> None:
    assert _render("{% unpriced_note n %}", n=calls) == html


def test_delta_badge_has_arrow_and_words() -> None:
    html = _render("{% delta a b %}", a=Decimal("118.2"), b=Decimal(100))
    assert 'class="delta bad" title="up 18.2%"' in html
    assert "#arrow-up-right" in html
    assert '<span class="sr">up </span>18.2%' in html


def test_times_are_machine_readable() -> None:
    html = _render("{% time_ago at now %}", at=NOW - timedelta(minutes=4), now=NOW)
    assert html == (
        '<time-ago format="relative"><time datetime="2026-11-20T14:28:19Z" '
        'title="2026-11-20 14:28:19 UTC">4 min ago</time></time-ago>'
    )
    assert _render("{{ at|clock }}", at=None) == "—"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.000660000000", "0.00066"),
        ("6.6E-4", "0.00066"),
        ("0.000000000001", "0.000000000001"),
        ("0E-12", "0"),
        ("1200", "1200"),
        ("1.2E+3", "1200"),
        ("-0.10", "-0.1"),
    ],
)
def test_decimals_for_programs_have_every_digit_and_no_exponent(value: str, text: str) -> None:
    assert formats.plain_decimal(Decimal(value)) == text


def test_instants_for_programs_are_utc_with_a_z() -> None:
    moment = datetime(2026, 11, 20, 14, 30, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert formats.instant(moment) == "2026-11-20T09:00:00.000005Z"
