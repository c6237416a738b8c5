"""What the web processes' counters say of the last minutes: deltas, restarts, shares and percentiles."""

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from core import metrics
from core.request_figures import Totals, read, window

NOW = dt.datetime(2026, 11, 21, 14, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
FIVE = dt.timedelta(minutes=5)


def totals(fast: int, slow: int = 0, failed: int = 0, timeouts: int = 0) -> Totals:
    """`fast` answers within 0.25 s, `slow` ones between 0.5 and 1 s."""
    whole = fast + slow
    bounds = {"0.25": fast, "0.5": fast, "1.0": whole, "+Inf": whole}
    return Totals(whole, failed, bounds, timeouts)


def test_only_what_was_counted_in_the_window_counts() -> None:
    samples = [
        (NOW - 7 * MINUTE, totals(1000, 500, 400, 9)),
        (NOW - 5 * MINUTE, totals(1100, 500, 400, 9)),
        (NOW - 2 * MINUTE, totals(1150, 530, 401, 9)),
        (NOW, totals(1190, 540, 403, 11)),
    ]
    found = window(samples, now=NOW, length=FIVE)
    assert found == totals(90, 40, 3, 2)
    assert found.failed_percent == Decimal(300) / 130
    # 123.5 of 130: beyond the 90 fast ones, 33.5 of 40 on the way from 0.5 to 1 s.
    assert (
        found.percentile_ms(95) == (Decimal("0.5") + Decimal("0.5") * Decimal("33.5") / 40) * 1000
    )


def test_counters_that_began_anew_are_counted_from_there() -> None:
    samples = [
        (NOW - 3 * MINUTE, totals(900, 0, 30, 5)),
        (NOW - 2 * MINUTE, totals(950, 0, 31, 5)),
        (NOW - MINUTE, totals(20, 0, 1, 1)),
        (NOW, totals(60, 0, 2, 1)),
    ]
    assert window(samples, now=NOW, length=FIVE) == totals(110, 0, 3, 1)


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [(NOW, totals(900))],
        [(NOW - 20 * MINUTE, totals(900)), (NOW, totals(950))],
        [(NOW - 9 * MINUTE, totals(1)), (NOW - 6 * MINUTE, totals(2))],
    ],
)
def test_without_two_samples_in_it_nothing_is_known(
    samples: list[tuple[dt.datetime, Totals]],
) -> None:
    assert window(samples, now=NOW, length=FIVE) is None


def test_nothing_answered_has_no_share_and_no_percentile() -> None:
    assert (totals(0).failed_percent, totals(0).percentile_ms(95)) == (None, None)


def test_beyond_the_last_bound_it_says_the_last_bound() -> None:
    slow = Totals(10, 0, {"0.5": 1, "30.0": 2, "+Inf": 10})
    assert slow.percentile_ms(95) == 30_000


def test_the_counters_of_this_process_are_found_under_their_names() -> None:
    before = read() or Totals()
    for status in (200, 503, 0):
        metrics.record_request("GET", status, 0.3)
    after = read()
    assert after is not None
    found = after.since(before)
    assert (found.answered, found.failed) == (2, 1)  # a client that left got no answer
    assert (found.bounds["0.25"], found.bounds["0.5"], found.bounds["+Inf"]) == (0, 3, 3)


# As core.metrics names and shapes them (the test above), without loading Django twice.
PROCESS = """
import sys
from prometheus_client import Counter, Histogram
requests = Counter("llmlab_http_requests", "x", ["method", "status"])
seconds = Histogram("llmlab_http_request_seconds", "x", ["method"], buckets=(0.25, 0.5))
for status in sys.argv[1:]:
    requests.labels("GET", status).inc()
    seconds.labels("GET").observe(0.3)
"""


def test_what_two_processes_share_is_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert read() is None
    for statuses in (["200", "500", "0"], ["204", "503"]):
        subprocess.run([sys.executable, "-c", PROCESS, *statuses], check=True)
    assert read() == Totals(4, 2, {"0.25": 0, "0.5": 5, "+Inf": 5}, 0)
