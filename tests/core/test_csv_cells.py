"""Text from programs in CSV: nothing a spreadsheet would run."""

import csv

import pytest

from core.csv_cells import Echo, inert


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "|calc", "%0", "\tx", "\rx", " =1+1", "\n@x", "\u00a0=1"],
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", "gpt-5", "a=b", " x", "'=1", 5, -1.5, None])
def test_anything_else_stays(value: object) -> None:
    assert inert(value) is value


def test_a_line_comes_back() -> None:
    assert csv.writer(Echo()).writerow(["a,b", 1]) == '"a,b",1\r\n'
