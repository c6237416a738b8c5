"""Charts are markup: geometry in percent and pixels, a real table, links, and nothing the policy would block."""

import json
import re
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from django.template import Context, Template

from core import charts
from core.charts import Series, Slice, Step

DAYS = ["Nov 1", "2", "3"]
SERIES = [
    Series(
        "Anthropic",
        [Decimal("30"), None, Decimal("10.5")],
        "c1",
        "/t/?p=anthropic",
        ["/t/?d=1&p=anthropic"],
    ),
    Series("OpenAI", [Decimal("10"), Decimal(0), Decimal("0.5")], "c2"),
]
HREFS = ["/t/?d=1", "/t/?d=2", "/t/?d=3"]


def _bars() -> str:
    return str(
        charts.stacked_bars(
            DAYS,
            SERIES,
            summary="Daily spend.",
            hrefs=HREFS,
            titles=["Sun", "Mon", "Tue"],
            height=100,
        )
    )


def _tree(markup: str) -> ElementTree.Element:
    well_formed = markup.replace(" data-chart ", " ")  # a bare attribute is HTML, not XML
    return ElementTree.fromstring(f"<root>{well_formed}</root>")  # noqa: S314 - our own markup


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0, [0, 1]),
        (1000, [0, 250, 500, 750, 1000]),
        (944, [0, 250, 500, 750, 1000]),
        (40, [0, 10, 20, 30, 40]),
        (0.0009, [0, 0.00025, 0.0005, 0.00075, 0.001]),
    ],
)
def test_ticks_are_round_and_reach_the_top(top: float, ticks: list[float]) -> None:
    assert charts.nice_ticks(top) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("top", "ticks"),
    [(1, [0, 1]), (3, [0, 1, 2, 3]), (9, [0, 3, 6, 9]), (1_000, [0, 250, 500, 750, 1_000])],
)
def test_counted_things_have_whole_ticks(top: float, ticks: list[float]) -> None:
    assert charts.nice_ticks(top, unit="count") == ticks


def test_bars_stack_in_pixels_and_spread_in_percent() -> None:
    columns = [g for g in _tree(_bars()).iter("g") if g.get("class") == "col"]
    rects = [
        [(r.get("class"), r.get("x"), r.get("y"), r.get("height")) for r in c.iter("rect")]
        for c in columns
    ]
    assert rects[0][1:] == [
        ("c1", "5.667%", "25", "75"),
        ("c2", "5.667%", "0", "23.75"),
    ]
    assert [len(column) for column in rects] == [3, 1, 3]


def test_every_bar_part_and_row_links() -> None:
    tree = _tree(_bars())
    first = next(g for g in tree.iter("g") if g.get("data-i") == "0")
    assert [a.get("href") for a in first.iter("a")] == ["/t/?d=1", "/t/?d=1&p=anthropic", "/t/?d=1"]
    assert {a.get("tabindex") for a in first.iter("a")} == {"-1"}
    table = next(tree.iter("table"))
    assert [a.get("href") for a in table.iter("a")] == [
        "/t/?d=1",
        "/t/?d=1&p=anthropic",
        *HREFS[1:],
    ]


def test_table_holds_the_numbers() -> None:
    table = next(_tree(_bars()).iter("table"))
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert rows == [
        ["Time", "Anthropic", "OpenAI", "Total"],
        ["Sun", "$30.00", "$10.00", "$40.00"],
        ["Mon", "—", "$0", "$0"],
        ["Tue", "$10.50", "$0.50", "$11.00"],
    ]


def test_tooltip_data_is_exact_text() -> None:
    source = re.search(r'<script id="chart-\d+" type="application/json">(.*?)</script>', _bars())
    assert source
    data = json.loads(source.group(1))
    assert data["titles"] == ["Sun", "Mon", "Tue"]
    assert data["totals"] == ["$40.00", "$0", "$11.00"]
    assert data["series"][0] == ["c1", "Anthropic", ["$30.00", "", "$10.50"]]
    assert data["hrefs"] == HREFS


def test_two_charts_of_a_page_do_not_share_ids() -> None:
    ids = re.findall(r'id="([^"]+)"', _bars() + _bars())
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize("text", ['<script>alert("x")</script>', "a&b", "'\"", "</script>"])
def test_hostile_labels_are_escaped(text: str) -> None:
    chart = charts.stacked_bars(
        [text], [Series(text, [1], "c1", text, [text])], summary=text, hrefs=[text], titles=[text]
    )
    markup = (
        str(chart)
        + str(charts.donut([Slice(text, 1, "c1", text)]))
        + str(charts.legend([Slice(text, 1)]))
    )
    assert "<script>alert" not in markup
    assert markup.count("</script>") == 1
    _tree(markup)


def test_nothing_the_policy_blocks() -> None:
    markup = (
        _bars()
        + str(charts.donut([Slice("a", Decimal(3)), Slice("b", Decimal(1), "c2", "/b")]))
        + str(charts.sparkline([1, 2, 3]))
        + str(charts.step_strip([Step("llm"), Step("error", 3)]))
        + str(charts.meter(Decimal("0.7")))
    )
    assert not re.search(r"\sstyle=|\son\w+=|<style", markup)
    assert re.findall(r"<script(?! id=\"chart-\d+\" type=\"application/json\")", markup) == []


def test_no_columns_draw_nothing_and_all_zero_still_draws() -> None:
    assert charts.stacked_bars([], [], summary="x") == ""
    flat = str(charts.stacked_bars(["a"], [Series("s", [0])], summary="x"))
    assert "NaN" not in flat
    _tree(flat)


def test_donut_shares_and_total() -> None:
    parts = [Slice("a", Decimal("75"), "c1", "/a"), Slice("b", Decimal("25"), "c2")]
    tree = _tree(str(charts.donut(parts, caption="Nov")))
    arcs = [(c.get("stroke-dasharray"), c.get("stroke-dashoffset")) for c in tree.iter("circle")]
    assert arcs == [("74.30 25.70", "-0.00"), ("24.30 75.70", "-75.00")]
    assert "".join(next(tree.iter("b")).itertext()) == "$100"
    rows = ["".join(li.itertext()) for li in tree.iter("li")]
    assert rows == ["a$75.0075.0%", "b$25.0025.0%"]


def test_donut_of_one_part_closes_and_of_nothing_is_empty() -> None:
    assert 'stroke-dasharray="100.00 0.00"' in charts.donut([Slice("a", 5)])
    assert "<circle" not in charts.donut([Slice("a", 0)])


def test_sparkline_needs_two_points_and_survives_a_flat_line() -> None:
    assert charts.sparkline([1]) == ""
    assert "M0.00 50.00 L100.00 50.00" in charts.sparkline([2, 2])


def test_step_strip_colours_kinds_and_counts_all() -> None:
    steps = [Step("llm", 50), Step("tool", 25), Step("error", 25), *[Step("agent", 0)] * 60]
    tree = _tree(str(charts.step_strip(steps)))
    svg = next(tree.iter("svg"))
    assert svg.get("aria-label") == "63 steps"
    assert [r.get("class") for r in svg][:4] == ["c1", "c2", "err", "co"]
    assert sum(float((r.get("width") or "0").rstrip("%")) for r in svg) <= 100


def test_volume_strip_puts_errors_on_top() -> None:
    markup = charts.volume_strip(["a", "b"], [3, 0], [1, 0], summary="Traces.", hrefs=["/a", "/b"])
    column = next(g for g in _tree(str(markup)).iter("g") if g.get("data-i") == "0")
    ok, err = (r for r in column.iter("rect") if r.get("class") in ("ok", "err"))
    assert float(err.get("y") or 0) < float(ok.get("y") or 0)


def test_tags_take_plain_dicts() -> None:
    source = "{% stacked_bars days series 'Spend.' %}{% donut parts %}{% step_strip steps %}{% sparkline values %}"
    html = Template(source).render(
        Context(
            {
                "days": ["a"],
                "series": [{"label": "x", "values": [1], "slot": "c1"}],
                "parts": [{"label": "x", "value": 1}],
                "steps": [("llm", 2), "tool", {"kind": "error", "weight": 1}],
                "values": None,
            }
        )
    )
    assert html.count("<chart-tip>") == 1
    assert 'aria-label="3 steps"' in html


def test_lines_leave_gaps_where_a_value_is_unknown_and_dots_where_it_stands_alone() -> None:
    series = [charts.Series("p50", [100, None, 300, 400], "c1"), charts.Series("p99", [None] * 4)]
    drawn = str(charts.line_chart(["a", "b", "c", "d"], series, summary="Latency."))
    assert 'class="ln c1" d="M12.5 ' in drawn
    assert drawn.count('class="col"') == 4
    assert drawn.count("<circle") == 1
    assert "<td" in drawn
    assert "style=" not in drawn
    assert charts.line_chart(["a"], [charts.Series("p50", [None])], summary="None.") == ""


def test_what_bars_are_compared_with_is_a_line_a_tooltip_and_a_column() -> None:
    drawn = str(
        charts.stacked_bars(
            ["a", "b"],
            [charts.Series("Now", [1, 2])],
            summary="Spend.",
            compare=charts.Series("Before", [4, 1], "prev"),
        )
    )
    assert 'class="ln prev"' in drawn
    assert '<th scope="col" class="r">Before</th>' in drawn
    assert "$4.00" in drawn
    assert '"totals": ["$1.00", "$2.00"]' in drawn
