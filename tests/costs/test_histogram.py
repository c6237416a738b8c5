"""Latency histograms: buckets, merging, percentiles."""

import math
import random

import pytest

from costs.histogram import BUCKETS, EDGES, bucket_of, histogram_of, merge, percentile


def test_edges_are_where_the_next_bucket_begins():
    assert len(EDGES) == BUCKETS - 1
    assert (bucket_of(0.999), bucket_of(1.0)) == (0, 1)
    for place, edge in enumerate(EDGES):
        assert bucket_of(edge) == place + 1
        assert bucket_of(math.nextafter(edge, 0)) == place


@pytest.mark.parametrize(
    ("latency_ms", "bucket"),
    [
        (-5, 0),
        (0, 0),
        (math.nan, 0),
        (0.5, 0),
        (100, 38),
        (3_600_000, 125),
        (1e18, 125),
        (math.inf, 125),
    ],
)
def test_every_number_has_a_bucket(latency_ms, bucket):
    assert bucket_of(latency_ms) == bucket


@pytest.mark.parametrize("q", [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_percentile_stays_within_a_tenth_of_the_exact_one(q, seed):
    chance = random.Random(seed)
    latencies = [math.exp(chance.gauss(6.5, 1.4)) for _ in range(2000)]
    latencies = [min(max(value, 1.0), 3_599_999.0) for value in latencies]
    exact = sorted(latencies)[max(1, math.ceil(q * len(latencies))) - 1]
    found = percentile(histogram_of(latencies), q)
    assert found is not None
    assert exact / 1.1 < found < exact * 1.1


def test_median_of_evenly_spread_latencies_is_within_ten_percent():
    found = percentile(histogram_of(range(1, 2001)), 0.5)
    assert found == pytest.approx(1000, rel=0.1)


def test_merging_equals_counting_everything_at_once():
    chance = random.Random(7)
    parts = [[chance.uniform(0, 1e5) for _ in range(50)] for _ in range(4)]
    assert merge(*(histogram_of(part) for part in parts), []) == histogram_of(
        value for part in parts for value in part
    )


def test_no_calls_have_no_percentile():
    assert percentile([], 0.5) is None
    assert percentile([0] * BUCKETS, 0.5) is None


def test_calls_outside_the_scale_are_reported_at_its_ends():
    assert percentile(histogram_of([0.2]), 0.5) == 0.5
    assert percentile(histogram_of([9e9]), 0.5) == 3_600_000


def test_share_outside_zero_to_one_is_refused():
    with pytest.raises(ValueError, match=r"q is 95; it must be between 0 and 1\."):
        percentile([1], 95)
