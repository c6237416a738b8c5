"""How the parts LLMLab stands on are doing: Redis and its queues, PostgreSQL's connections, disks and the scheduler.

Each reading is small and bounded; the system page, `/metrics` and the operators' alerts use the same.
"""

import datetime as dt
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection, connections
from redis.exceptions import RedisError

from core import heartbeats
from core.doctor.processes import QUEUES
from core.heartbeats import Heartbeat

# kombu keeps a list per priority: the queue's own name for 0, then these.
PRIORITY_SUFFIXES = ("", "\x06\x163", "\x06\x166", "\x06\x169")
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Broker:
    """Redis as it was a moment ago; without an answer `error` says why and nothing else is known."""

    error: str = ""
    waiting: Mapping[str, int] = field(default_factory=dict)
    workers: tuple[Heartbeat, ...] = ()

    @property
    def is_up(self) -> bool:
        return not self.error

    def workers_of(self, queue: str) -> int:
        return sum(queue in one.queues for one in self.workers)

    @property
    def unserved(self) -> list[str]:
        """Queues that no living worker serves."""
        return [name for name in QUEUES if not self.workers_of(name)]


def broker(now: dt.datetime) -> Broker:
    """Messages per queue and living workers, in one round trip; never raises, and waits a second at most."""
    try:
        with (
            closing(heartbeats.redis_client()) as client,
            client.pipeline(transaction=False) as pipe,
        ):
            for name in QUEUES:
                for suffix in PRIORITY_SUFFIXES:
                    pipe.llen(name + suffix)
            pipe.hgetall(heartbeats.KEY)
            *lengths, said = pipe.execute()
    except (RedisError, OSError) as error:
        return Broker(error=type(error).__name__)
    size = len(PRIORITY_SUFFIXES)
    waiting = {
        name: sum(lengths[place * size : (place + 1) * size]) for place, name in enumerate(QUEUES)
    }
    return Broker("", waiting, tuple(heartbeats.read(said, now=now)))


@dataclass(frozen=True)
class Connections:
    """PostgreSQL's connections of all programs, how many there may be, and where it keeps its data (empty: it does
    not tell this user)."""

    used: int
    most: int
    data_directory: str

    @property
    def percent(self) -> float:
        return 100 * self.used / self.most if self.most else 0.0


# Of other users' sessions an ordinary user does not see the kind; background processes are in no database.
_CONNECTIONS = """
SELECT (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int,
       coalesce((SELECT setting FROM pg_settings WHERE name = 'data_directory'), '')
"""


def database_connections() -> Connections:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS)
        used, most, directory = cursor.fetchone()
    return Connections(int(used), int(most), str(directory))


@dataclass(frozen=True)
class Disk:
    """Room where `place` lies: `data` (LLMLAB_DATA_DIR) or `database`."""

    place: str
    path: str
    free: int
    size: int

    @property
    def percent(self) -> float:
        return 100 * self.free / self.size if self.size else 0.0


def disks(database_directory: str = "") -> list[Disk]:
    """The data directory's disk, and PostgreSQL's when it is another one of this machine."""
    found = []
    there: Path = settings.LLMLAB_DATA_DIR
    while not there.exists() and there != there.parent:
        there = there.parent  # a directory that will be made lies where its parent does
    data = _disk("data", str(there))
    if data:
        found.append(data)
    if database_directory and _is_database_here():
        database = _disk("database", database_directory)
        if database and not (data and _device(data.path) == _device(database.path)):
            found.append(database)
    return found


def _is_database_here() -> bool:
    host = str(connections["default"].settings_dict.get("HOST") or "")
    return host in LOCAL_HOSTS or host.startswith("/")


def _disk(place: str, path: str) -> Disk | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError:  # of a server in a container the path may lead nowhere here
        return None
    # What an ordinary user may still take; the rest is the system's own.
    return Disk(place, path, usage.free, usage.used + usage.free)


def _device(path: str) -> int:
    try:
        return os.stat(path).st_dev
    except OSError:
        return -1


def beat_seen_at() -> dt.datetime | None:
    """When the scheduler last wrote that it sent something. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(last_run_at) FROM django_celery_beat_periodictask")
        row = cursor.fetchone()
    seen: dt.datetime | None = row[0] if row else None
    return seen
