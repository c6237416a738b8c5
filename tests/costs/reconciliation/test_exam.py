"""The exam in small (benchmarks/reconciliation_exam.py): each cause through the real tables, found and measured."""

from collections.abc import Iterator

import pytest

from benchmarks.reconciliation_exam import BAR, run_case
from costs.services.record_costs import forget_partitions

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _partitions() -> Iterator[None]:
    """Each test rolls the partitions it made back."""
    forget_partitions()
    yield
    forget_partitions()


@pytest.mark.parametrize(
    "case",
    [
        "",
        "outside_unmapped+rounding",
        "not_billed+tier",
        "discount+credits",
        "currency+missing_price",
        "late+price",
        "time_zone+split",
    ],
)
def test_causes_are_found_and_measured(case: str) -> None:
    result = run_case(tuple(case.split("+")) if case else (), days=10, per_day=5)

    assert result.unexplained == 0
    assert result.misplaced <= result.billed * BAR, (result.expected, result.found)
    assert bool(result.found) == bool(case) or case == "time_zone"
