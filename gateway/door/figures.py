"""Prometheus figures of the gateway as its clients see it."""

from prometheus_client import Counter, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
calls_total = Counter(
    "llmlab_gateway_calls",
    "Answered calls of the gateway; status 499: the client left before",
    ["dialect", "status"],
)
first_byte_seconds = Histogram(
    "llmlab_gateway_first_byte_seconds",
    "From the complete request to the first byte of the answer",
    ["dialect"],
    buckets=_BUCKETS,
)
call_seconds = Histogram(
    "llmlab_gateway_call_seconds",
    "From the complete request to the end of the answer",
    ["dialect"],
    buckets=_BUCKETS,
)


def record_call(dialect: str, status: int, seconds: float, first_byte_s: float) -> None:
    """Count one call; `first_byte_s` 0: it got none."""
    calls_total.labels(dialect, str(status)).inc()
    call_seconds.labels(dialect).observe(seconds)
    if first_byte_s:
        first_byte_seconds.labels(dialect).observe(first_byte_s)
