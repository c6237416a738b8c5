"""A fixed, mergeable latency histogram: 126 buckets on a logarithmic scale from 1 ms to one hour.
Pure.

Bucket 0 holds everything below 1 ms, the last everything from one hour up; the 124 between grow by
13 % each. A percentile is interpolated inside the middle half of the bucket that holds it, so
between 1 ms and one hour it is never further than 9.6 % from the exact order statistic. Adding two
histograms bucket by bucket gives the histogram of all their calls, exactly; the layout must never
change, since stored rows rely on it (each bucket is half of one of the first release's 64).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

BUCKETS = 126
LOWEST_MS = 1.0
HIGHEST_MS = 3_600_000.0
GROWTH = (HIGHEST_MS / LOWEST_MS) ** (1 / (BUCKETS - 2))
# EDGES[i] is where bucket i + 1 begins.
EDGES = (*(LOWEST_MS * GROWTH**step for step in range(BUCKETS - 2)), HIGHEST_MS)


def bucket_of(latency_ms: float) -> int:
    """The bucket a latency counts in; below zero and not-a-number count as no time at all."""
    return bisect_right(EDGES, latency_ms) if latency_ms > 0 else 0


def histogram_of(latencies_ms: Iterable[float]) -> list[int]:
    """The histogram of some latencies."""
    counts = [0] * BUCKETS
    for latency_ms in latencies_ms:
        counts[bucket_of(latency_ms)] += 1
    return counts


def merge(*histograms: Sequence[int]) -> list[int]:
    """The histogram of all calls in `histograms`; an empty one (a row without latencies) adds
    nothing.
    """
    total = [0] * BUCKETS
    for counts in histograms:
        for bucket, count in enumerate(counts):
            total[bucket] += count
    return total


def to_text(counts: Mapping[int, int]) -> str | None:
    """Counts by bucket as PostgreSQL's `sparsevec` reads them; None when there are none."""
    if not counts:
        return None
    filled = ",".join(f"{bucket + 1}:{counts[bucket]}" for bucket in sorted(counts))
    return f"{{{filled}}}/{BUCKETS}"


def percentile(counts: Sequence[int], q: float) -> float | None:
    """The latency in ms that a share `q` (0 to 1) of the calls stayed within; None when there are
    no calls.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q is {q}; it must be between 0 and 1.")
    # Halved buckets of the first release can fall below zero when their calls are taken away again.
    counts = [max(0, count) for count in counts]
    total = sum(counts)
    if total == 0:
        return None
    rank = max(1, math.ceil(q * total))  # the rank-th smallest call
    seen = 0
    for bucket, count in enumerate(counts):
        if count and seen + count >= rank:
            return _inside(bucket, (rank - seen - 0.5) / count)
        seen += count
    raise AssertionError("unreachable: the counts sum to at least the rank")


def _inside(bucket: int, share: float) -> float:
    """The latency at `share` of the middle half of a bucket, on the logarithmic scale."""
    if bucket == 0:
        return LOWEST_MS * share
    if bucket == BUCKETS - 1:
        return HIGHEST_MS
    low = EDGES[bucket - 1]
    return float(low * (EDGES[bucket] / low) ** (0.25 + share / 2))
