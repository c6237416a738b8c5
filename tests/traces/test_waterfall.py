"""Any set of steps has a layout; oddities are marks, never errors."""

import datetime as dt
import random
import time
from decimal import Decimal
from typing import Any

import pytest

from traces.bars import bar_of, nice_step, ticks
from traces.frames import changed_rows
from traces.waterfall import (
    BACKWARDS,
    CYCLE,
    EARLY,
    ORPHAN,
    Layout,
    Row,
    StepFacts,
    dom_id,
    lay_out,
)

START = dt.datetime(2026, 11, 20, 14, 32, 7, tzinfo=dt.UTC)


def step(
    span_id: str, parent: str = "", at: float = 0, ms: float | None = 1000, **more: Any
) -> StepFacts:
    started = START + dt.timedelta(milliseconds=at)
    facts: dict[str, Any] = {
        "span_id": span_id, "parent_span_id": parent, "name": more.pop("name", span_id), "kind": "llm",
        "status": "running" if ms is None else "ok", "started_at": started,
        "ended_at": None if ms is None else started + dt.timedelta(milliseconds=ms), "first_token_ms": None,
        "provider": "", "request_model": "", "response_model": "", "operation": "", "input_tokens": None,
        "output_tokens": None, "cost_usd": None, "price_status": "", "has_cost_record": False,
        "is_cache_hit": False, "error_type": "", "finish_reason": "", "seq": 1,
        "placed_seq": 1,
    }  # fmt: skip
    if "cost" in more:
        cost = more.pop("cost")
        facts |= {"cost_usd": None if cost is None else Decimal(cost), "has_cost_record": True}
    return StepFacts(**{**facts, **more})


def laid(*steps: StepFacts, now: dt.datetime = START + dt.timedelta(seconds=10)) -> Layout:
    return lay_out(steps, now=now)


def shape(layout: Layout) -> list[tuple[str, int]]:
    return [(row.step.span_id, row.level) for row in layout.rows]


def row(layout: Layout, span_id: str) -> Row:
    return next(row for row in layout.rows if row.step.span_id == span_id)


def test_children_follow_their_parent_by_start_whatever_the_input_order():
    steps = [step("c", "a", 500), step("b", "a", 100), step("d", "b", 200), step("a", "", 0, 3000)]
    assert shape(laid(*steps)) == [("a", 1), ("b", 2), ("d", 3), ("c", 2)]
    random.Random(1).shuffle(steps)
    assert shape(laid(*steps)) == [("a", 1), ("b", 2), ("d", 3), ("c", 2)]


def test_step_without_its_parent_is_a_marked_root_until_the_parent_arrives():
    child = step("child", "lost", 100)
    before = laid(step("root"), child)
    assert shape(before) == [("root", 1), ("child", 1)]
    assert row(before, "child").flags == (ORPHAN,)
    after = laid(step("root"), child, step("lost", "root", 50))
    assert shape(after) == [("root", 1), ("lost", 2), ("child", 3)]
    assert row(after, "child").flags == ()


def test_cycle_of_parents_is_cut_at_its_earliest_step_and_every_step_shown_once():
    steps = [
        step("a", "c", 300),
        step("b", "a", 100),
        step("c", "b", 200),
        step("below", "c", 400),
        step("ok"),
    ]
    layout = laid(*steps)
    assert sorted(id_ for id_, _ in shape(layout)) == ["a", "b", "below", "c", "ok"]
    assert shape(layout) == [("ok", 1), ("b", 1), ("c", 2), ("a", 3), ("below", 3)]
    assert CYCLE in row(layout, "b").flags
    assert CYCLE not in row(layout, "c").flags


def test_own_parent_is_a_marked_root():
    assert row(laid(step("a", "a")), "a").flags == (CYCLE,)


def test_two_roots_stand_side_by_side():
    assert shape(laid(step("b", "", 10), step("a", "", 0))) == [("a", 1), ("b", 1)]


def test_end_before_start_has_no_length_and_a_mark():
    layout = laid(step("root", "", 0, 1000), step("odd", "root", 500, -200))
    assert row(layout, "odd").length_ms == 0
    assert row(layout, "odd").flags == (BACKWARDS,)
    assert bar_of(row(layout, "odd"), layout.extent).width == 0.4


def test_child_before_its_parent_is_marked_and_widens_the_axis():
    layout = laid(step("root", "", 0, 1000), step("child", "root", -500, 200))
    assert row(layout, "child").flags == (EARLY,)
    assert layout.extent.length_ms == 1500
    assert bar_of(row(layout, "root"), layout.extent).x == pytest.approx(33.333, abs=0.001)


def test_one_instant_step_and_no_step_have_a_layout():
    assert bar_of(laid(step("a", "", 0, 0)).rows[0], laid(step("a", "", 0, 0)).extent).x == 0
    assert laid().rows == ()
    assert ticks(laid().extent)[0] == (0.0, 0.0)


def test_depth_is_not_limited_by_the_stack():
    chain = [step(f"s{n:05d}", f"s{n - 1:05d}" if n else "", n, 20_000 - n) for n in range(20_000)]
    layout = laid(*chain)
    assert layout.rows[-1].level == 20_000
    assert layout.rows[0].descendants == 19_999


def test_five_thousand_random_steps_lay_out_in_under_a_second():
    chance = random.Random(7)
    steps = [
        step(f"s{n}", f"s{chance.randrange(6000)}", chance.randrange(10_000)) for n in range(5_000)
    ]
    started = time.perf_counter()
    layout = laid(*steps)
    assert time.perf_counter() - started < 1
    assert len({row.dom_id for row in layout.rows}) == 5_000


def test_subtree_cost_counts_each_record_once():
    layout = laid(
        step("root", "", 0, 5000), step("a", "root", 1, cost="0.01"), step("b", "root", 2),
        step("c", "b", 3, cost="0.0025"),
    )  # fmt: skip
    assert row(layout, "root").subtree_cost == Decimal("0.0125")
    assert row(layout, "root").cost_is_subtree
    assert row(layout, "b").subtree_cost == Decimal("0.0025")
    assert not row(layout, "a").cost_is_subtree
    assert layout.extent.total_cost == Decimal("0.0125")


def test_step_without_cost_is_none_and_unpriced_is_counted_not_zero():
    layout = laid(
        step("root", "", 0, 5000), step("tool", "root", 1), step("call", "root", 2, cost=None)
    )
    assert row(layout, "tool").subtree_cost is None
    assert row(layout, "root").subtree_cost is None
    assert row(layout, "root").unpriced_below == 1


def test_dearest_step_stands_out_only_when_it_is_a_real_share():
    dear = laid(step("r"), step("a", "r", 1, cost="0.9"), step("b", "r", 2, cost="0.1"))
    assert [r.step.span_id for r in dear.rows if r.is_hot] == ["a"]
    even = laid(*(step(f"s{n}", "", n, cost="0.1") for n in range(5)))
    assert not any(r.is_hot for r in even.rows)


def test_retry_follows_its_failed_attempt_and_is_numbered():
    layout = laid(
        step("root", "", 0, 9000),
        step("try1", "root", 100, 100, name="refund", status="error", kind="tool"),
        step("other", "root", 150, 100, name="note", kind="tool"),
        step("try2", "root", 300, 100, name="refund", kind="tool"),
    )
    assert [id_ for id_, _ in shape(layout)] == ["root", "try1", "try2", "other"]
    assert row(layout, "try2").attempt == 2
    assert row(layout, "other").attempt == 0


def test_parallel_step_of_the_same_name_is_no_retry():
    layout = laid(
        step("a", "", 0, 500, name="x", status="error"), step("b", "", 100, 500, name="x")
    )
    assert row(layout, "b").attempt == 0


def test_running_step_reaches_to_now():
    layout = laid(step("a", "", 0, None), now=START + dt.timedelta(seconds=3))
    assert layout.rows[0].length_ms == 3000
    assert layout.is_running


def test_label_stands_inside_then_beside_then_before():
    layout = laid(
        step("wide", "", 0, 10_000), step("short", "", 100, 100), step("late", "", 9_800, 100)
    )
    places = {r.step.span_id: bar_of(r, layout.extent).label for r in layout.rows}
    assert places == {"wide": "in", "short": "after", "late": "before"}


def test_bars_never_leave_the_lane():
    layout = laid(step("a", "", 0, 1000), step("b", "", 999.9999, 0), step("c", "", 0, 10**9))
    for scale in ("time", "cost"):
        for one in layout.rows:
            bar = bar_of(one, layout.extent, scale)
            assert 0 <= bar.x <= bar.x + bar.width <= 100.0001


def test_first_token_is_a_share_of_the_lane_and_never_longer_than_the_bar():
    layout = laid(
        step("a", "", 0, 1000, first_token_ms=250), step("b", "", 0, 500, first_token_ms=9999)
    )
    assert bar_of(row(layout, "a"), layout.extent).first_token == 25
    assert bar_of(row(layout, "b"), layout.extent).first_token == 50


def test_cost_scale_is_the_share_of_the_whole():
    layout = laid(step("a", "", 0, cost="0.75"), step("b", "", 1, cost="0.25"))
    assert bar_of(row(layout, "a"), layout.extent, "cost").width == 75
    assert bar_of(row(layout, "b"), layout.extent, "cost").x == 0


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (12_600, 2000.0),
        (900, 200.0),
        (0.9, 0.2),
        (7 * 60_000, 60_000.0),
        (3 * 3_600_000, 1_800_000.0),
    ],
)
def test_axis_steps_are_round(length, expected):
    assert nice_step(length, 7) == expected


def test_element_ids_fit_html_for_any_span_id():
    assert dom_id('"><script>') != dom_id("other")
    assert dom_id("a b\n\"'<>").removeprefix("step-").isalnum()


def test_a_frame_resends_the_steps_below_only_when_a_step_moved() -> None:
    ended = laid(step("root", seq=2), step("a", "root"), step("b", "a"))
    assert [row.step.span_id for row in changed_rows(ended, 1)] == ["root"]
    arrived = laid(step("root", seq=2, placed_seq=2), step("a", "root"), step("b", "a"))
    assert [row.step.span_id for row in changed_rows(arrived, 1)] == ["root", "a", "b"]
