"""Sums and openings that nobody asks for any more."""

import datetime as dt

from django.db import connection

from gateway.models import CircuitOpening
from gateway.sums.adding import HOUR, MINUTE

# The longest window of an alert and the one before it begin within fifteen days; pages and previews show thirty.
KEPT = {MINUTE: dt.timedelta(days=16), HOUR: dt.timedelta(days=400)}
BATCH = 10_000
_FORGET = """
DELETE FROM gateway_callsum WHERE ctid = ANY(ARRAY(
 SELECT ctid FROM gateway_callsum WHERE step = %s AND at < %s LIMIT %s))
"""


def forget_old(now: dt.datetime) -> int:
    """Delete what is too old, in batches; how many rows it were."""
    done, _ = CircuitOpening.objects.filter(
        closed_at__lt=now - KEPT[HOUR], opened_at__lt=now - KEPT[HOUR]
    ).delete()
    for step, kept in KEPT.items():
        while True:
            with connection.cursor() as cursor:
                cursor.execute(_FORGET, [step, now - kept, BATCH])
                done += cursor.rowcount
                if cursor.rowcount < BATCH:
                    break
    return done
