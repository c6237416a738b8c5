"""Kept answers for operators: how many, how large, and which thresholds tightened themselves. Never what they say."""

import datetime as dt

from django.db import connection

from core import formats, system
from gateway.models import CacheThreshold

_SIZE = "SELECT greatest(reltuples, 0)::bigint, pg_total_relation_size(oid) FROM pg_class WHERE oid = %s::regclass"


def kept_answers(now: dt.datetime) -> system.Section:
    """How much is kept over all projects, as PostgreSQL estimates it. Two queries."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZE, ["gateway_cachedresponse"])
        rows, size = cursor.fetchone()
    tightened = CacheThreshold.objects.count()
    return system.Section(
        "Gateway cache",
        ("", ""),
        [
            ("Kept answers, about", formats.count(rows)),
            ("On disk, indexes included", formats.byte_size(size)),
            ("Routes whose threshold tightened itself", formats.count(tightened)),
        ],
    )


system.register("Gateway cache", kept_answers)
