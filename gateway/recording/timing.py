"""Where a call's time went, from the moments its parts noted (pure).

The moments are of several machines' clocks: each is taken as no earlier than the one before it, so that the parts are
never negative and always add up to the whole.
"""

import msgspec

from gateway.structs import Attempt, Finished


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds, one after the other; None where the call had no such part."""

    total: float
    door: float  # key, checks, limits, route
    cache: float | None = None  # looking for a kept answer
    queue: float | None = None
    prepare: float | None = None  # from the claim to the first try
    retry: float | None = None  # tries that failed, and the waits between
    first_token: float | None = None  # of the try that counts: asked until something came
    provider: float | None = None  # of the try that counts, whole: includes first_token
    send: float | None = None  # from there to the client's last byte


def timing_of(finished: Finished) -> Timing:
    """The parts of the call's time; all but `first_token` add up to `total`."""
    call, tries = finished.call, finished.attempts
    clock = _Clock(call.accepted_at, finished.ended_at)
    first_try = tries[0].began_at if tries else finished.ended_at
    door = clock.until(call.queued_at or first_try)
    cache = min(door, call.cache_s * 1000) if call.cache_s else None
    door -= cache or 0.0
    queue = clock.until(call.claimed_at or first_try) if call.queued_at else None
    last = counting(tries)
    if last is None:
        rest = clock.until(finished.ended_at)
        if finished.cached_id:  # found by the worker, or by the door after all
            cache, rest = (cache or 0.0) + rest, 0.0
        return Timing(door=door, cache=cache, queue=queue, send=rest or None, total=clock.total)
    prepare = clock.until(first_try)
    retry = clock.until(last.began_at) if len(tries) > 1 else None
    first = (last.first_token_at - last.began_at) * 1000 if last.first_token_at else None
    provider = clock.until(last.ended_at or finished.ended_at)
    return Timing(
        door=door,
        cache=cache,
        queue=queue,
        prepare=prepare,
        retry=retry,
        first_token=None if first is None else min(max(first, 0.0), provider),
        provider=provider,
        send=clock.until(finished.ended_at),
        total=clock.total,
    )


def counting(tries: list[Attempt]) -> Attempt | None:
    """The try whose answer the client got, else the last one."""
    return next((one for one in reversed(tries) if not one.error), tries[-1] if tries else None)


class _Clock:
    def __init__(self, start: float, end: float) -> None:
        self.at, self.end = start, max(start, end)
        self.total = (self.end - start) * 1000

    def until(self, moment: float) -> float:
        """Milliseconds from the last moment to this one, which lies between it and the end."""
        before, self.at = self.at, min(max(moment, self.at), self.end)
        return (self.at - before) * 1000
