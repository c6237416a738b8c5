"""When a message that was not taken is tried again (pure).

By how long nothing has got through, not by how many tries failed: threads that fail together do not push each other
back. Tight for two hours, so that everything is delivered within a minute of the receiver's recovery; then rarer.
"""

import datetime as dt

FIRST_S, TIGHT_S, WIDEST_S = 5.0, 45.0, 600.0
TIGHT_FOR = dt.timedelta(hours=2)
GIVE_UP_AFTER = dt.timedelta(hours=24)
MOST_RETRY_AFTER_S = 3_600.0
# At most this share is taken off, so that many channels of one dead provider do not ask it all at once.
JITTER = 0.2
# A receiver that hangs is not asked again at once when its wait is over by then.
REST_S = 5.0


def wait_s(outage: dt.timedelta, chance: float) -> float:
    """Seconds between two tries after `outage`; `chance` from 0 to 1 takes up to a fifth off."""
    if outage < TIGHT_FOR:
        wait = min(TIGHT_S, max(FIRST_S, outage.total_seconds() / 2))
    else:
        doublings = (outage - TIGHT_FOR).total_seconds() / 3600
        wait = min(WIDEST_S, TIGHT_S * 2 ** min(doublings, 10))
    return wait * (1 - JITTER * chance)


def next_try(
    *,
    since: dt.datetime,
    started: dt.datetime,
    ended: dt.datetime,
    retry_after_s: float | None,
    chance: float,
) -> dt.datetime:
    """When to try again what has failed since `since`, after a try from `started` to `ended`.

    The wait counts from the start of a try: one that hung for 15 s is part of it.
    """
    wait = wait_s(ended - since, chance)
    at = max(started + dt.timedelta(seconds=wait), ended + dt.timedelta(seconds=min(wait, REST_S)))
    if retry_after_s is not None:
        asked = min(max(retry_after_s, 0.0), MOST_RETRY_AFTER_S)
        at = max(at, ended + dt.timedelta(seconds=asked))
    return at
