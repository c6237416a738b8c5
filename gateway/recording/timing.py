"""Where a call's time went, from the moments its parts noted (pure).

The moments are of several machines' clocks: each is taken as no earlier than the one before it, so that the parts are
never negative and always add up to the whole.
"""

import msgspec

from gateway.structs import Attempt, Call, Finished


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
    queue = clock.until(call.claimed_at or first_try) if call.queued_at else None
    last = counting(tries)
    if last is None:
        rest = clock.until(finished.ended_at)
        cache, door, left = _looked(call, door, rest)
        if finished.cached_id and cache is not None:  # the answer itself came from there
            cache, left = cache + left, 0.0
        return Timing(door=door, cache=cache, queue=queue, send=left or None, total=clock.total)
    cache, door, prepare = _looked(call, door, clock.until(first_try))
    retry = clock.until(last.began_at) if len(tries) > 1 else None
    # An answer that does not stream comes whole: its first token says nothing.
    is_seen = last.first_token_at and call.is_stream
    first = (last.first_token_at - last.began_at) * 1000 if is_seen else None
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


def _looked(call: Call, door: float, prepare: float) -> tuple[float | None, float, float]:
    """The time in the caches, and what is left of the parts it was in: the worker asks for meaning, the door for the
    same request."""
    if not call.cache_s:
        return None, door, prepare
    looked = call.cache_s * 1000
    is_workers = call.cache is not None and call.cache.rule.semantic
    of_prepare = min(prepare, looked) if is_workers else 0.0
    of_door = min(door, looked - of_prepare)
    return of_door + of_prepare, door - of_door, prepare - of_prepare


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
