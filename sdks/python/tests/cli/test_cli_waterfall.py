"""The waterfall's layout and bars."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from llmlab.cli.waterfall import Row, bar, lay_out

NOW = dt.datetime(2026, 11, 21, 9, 0, 10, tzinfo=dt.timezone.utc)


def step(
    name: str, parent: Any = None, at: float = 0, took: Any = 1.0, **fields: Any
) -> dict[str, Any]:
    start = dt.datetime(2026, 11, 21, 9, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=at)
    end = None if took is None else (start + dt.timedelta(seconds=took)).isoformat()
    return {
        "id": name, "parent_id": parent, "name": name, "type": "llm", "started_at": start.isoformat(),
        "ended_at": end, "status": "running" if took is None else "ok", **fields,
    }  # fmt: skip


def shape(steps: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row.step["id"], row.level) for row in lay_out(steps, NOW).rows]


def test_children_stand_below_their_parents_oldest_first() -> None:
    steps = [
        step("b", "root", 2),
        step("c", "a", 1.5),
        step("a", "root", 1),
        step("root", None, 0, 4),
    ]
    assert shape(steps) == [("root", 0), ("a", 1), ("c", 2), ("b", 1)]


def test_orphans_and_circles_have_a_place() -> None:
    steps = [step("x", "y"), step("y", "x"), step("lost", "never came"), step("self", "self")]
    assert sorted(name for name, _ in shape(steps)) == ["lost", "self", "x", "y"]
    assert len(shape(steps)) == 4


def test_a_deep_chain_needs_no_recursion() -> None:
    steps = [step("0")] + [step(str(n), str(n - 1)) for n in range(1, 5_000)]
    assert shape(steps)[-1] == ("4999", 4_999)


def test_offsets_and_a_running_step_reach_to_now() -> None:
    layout = lay_out([step("root", None, 0, None), step("a", "root", 2, 3)], NOW)
    assert [(row.start_ms, row.length_ms) for row in layout.rows] == [(0, 10_000), (2_000, 3_000)]
    assert layout.total_ms == 10_000


@pytest.mark.parametrize(
    ("start", "took", "expected"),
    [
        (0, 100, "##########"),
        (50, 50, "     #####"),
        (99, 0, "         #"),
        (0, 0, "#         "),
        (100, 0, "         #"),
    ],
)
def test_a_bar_lies_where_its_step_was(start: float, took: float, expected: str) -> None:
    drawn = bar(Row(step("a"), 0, start, took), 100, 10, is_ascii=True)
    assert drawn.plain == expected


def test_a_trace_of_no_length_has_bars() -> None:
    assert bar(Row(step("a"), 0, 0, 0), 0, 5, is_ascii=True).plain == "#    "


def test_nothing_has_a_layout() -> None:
    assert lay_out([], NOW).rows == []
