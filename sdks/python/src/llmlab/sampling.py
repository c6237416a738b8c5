"""Head-based sampling by trace id, so that every process decides alike."""

_WHOLE = 1 << 64


def is_sampled(trace_id: str, rate: float) -> bool:
    """The last 8 bytes of the id, as a number, lie below the rate."""
    if rate >= 1:
        return True
    return int(trace_id[16:], 16) < rate * _WHOLE
