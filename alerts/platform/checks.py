"""What LLMLab watches of itself: each check reads one figure or a few, and knows its limit and what to do about it.

Every figure is on `/metrics` too, and deploy/grafana/prometheus-rules.yaml holds the same conditions for the case that
nothing here runs any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from alerts import figures
from alerts.models import Severity
from alerts.platform.look import Look
from core import formats

MIB = 1024 * 1024
NOT_SEEN = (
    "The web processes' counters cannot be read from here: give web and worker the same"
    " PROMETHEUS_MULTIPROC_DIR (docs/operations.md)."
)


@dataclass(frozen=True)
class Seen:
    """One figure. `value` None: it is not known, and `words` say why."""

    value: Decimal | None
    words: str
    # What it is about, of checks that look at several things: a queue, a table, a disk.
    key: str = ""
    sample: int = 0


Read = Callable[[Look], Sequence[Seen]]


@dataclass(frozen=True)
class Check:
    """`kind` names it in incidents and keys; `setting` holds its limit, in units of `factor`. Of checks that fire
    above their limit a limit of 0 means: not watched."""

    kind: str
    label: str
    unit: str
    severity: str
    setting: str
    advice: str
    read: Read
    is_above: bool = True
    factor: int = 1
    # Of the last minutes' requests: without any, what fires ends. `is_sampled`: judged from
    # LLMLAB_WATCH_LEAST_REQUESTS answers on.
    is_of_requests: bool = False
    is_sampled: bool = False

    @property
    def limit(self) -> Decimal | None:
        """None: switched off."""
        if not self.setting:
            return Decimal(0)
        limit = Decimal(getattr(settings, self.setting)) * self.factor
        return None if self.is_above and not limit else limit

    @property
    def least_sample(self) -> int:
        return int(settings.LLMLAB_WATCH_LEAST_REQUESTS) if self.is_sampled else 0

    def figure(self, value: Decimal | None) -> str:
        """In words; of the one check without a limit to set: whether it answers."""
        if value is not None and not self.setting:
            return "answers" if value else "no answer"
        return figures.figure(value, self.unit)

    def thing(self, seen: Seen) -> str:
        return f"{self.label}: {seen.key}" if seen.key else self.label


def _count(number: int, one: str, many: str) -> str:
    return f"{formats.count(number)} {one if number == 1 else many}"


def _counted(number: Callable[[Look], int], thing: str, words: str) -> Read:
    """Reads a number of things, and says it in words with a place for them."""

    def read(look: Look) -> list[Seen]:
        found = number(look)
        return [Seen(Decimal(found), words.format(_count(found, thing, f"{thing}s")))]

    return read


_outbox_dead = _counted(
    lambda look: look.outbox["dead"], "piece", "{} of follow-up work given up after three tries."
)
_deliveries_waiting = _counted(
    lambda look: look.deliveries.waiting, "message", "{} of alerts on the way."
)
_deliveries_dead = _counted(
    lambda look: look.deliveries.dead, "message", "{} of alerts given up in the last 24 hours."
)
_syncs = _counted(
    lambda look: look.syncs_failed, "provider account", "The bills of {} could not be read."
)


def _queues(look: Look) -> list[Seen]:
    """Nothing while Redis does not answer: then nothing is known of any queue."""
    return [
        Seen(Decimal(number), f"{_count(number, 'message waits', 'messages wait')} in {name}.", name)
        for name, number in look.broker.waiting.items()
    ]  # fmt: skip


def _outbox_age(look: Look) -> list[Seen]:
    oldest, number = look.outbox["oldest"], look.outbox["open"]
    age = Decimal(0) if oldest is None else _rounded((look.now - oldest).total_seconds())
    due = f"; the oldest is due for {figures.figure(age, 'seconds')}" if age else ""
    return [Seen(age, f"{_count(number, 'piece', 'pieces')} of follow-up work to do{due}.")]


def _deliveries_age(look: Look) -> list[Seen]:
    age = _rounded(look.deliveries.oldest_s)
    if not age:
        return [Seen(age, "No message waits for being sent.")]
    waited = figures.figure(age, "seconds")
    return [Seen(age, f"The oldest message that could be sent has waited for {waited}.")]


def _minutes(look: Look) -> list[Seen]:
    """What rules about windows are judged by (costs.minutes)."""
    projects, waited = look.minutes
    age = _rounded(waited)
    if not projects:
        return [Seen(age, "Every call counts in the sums per minute.")]
    words = f"Rules about windows do not see the last calls of {_count(projects, 'project', 'projects')}"
    return [Seen(age, f"{words}; the oldest has waited for {figures.figure(age, 'seconds')}.")]


def _partitions(look: Look) -> list[Seen]:
    """One figure for all tables: they lack days together, when the scheduler is away."""
    ahead = look.days_ahead
    if not ahead:
        return [Seen(None, "No table has day partitions.")]
    least = min(ahead.values())
    late = [table for table, days in ahead.items() if days == least]
    words = f"Day partitions reach {_count(least, 'day', 'days')} ahead ({', '.join(late)})."
    return [Seen(Decimal(least), words)]


def _disk_words(look: Look) -> list[tuple[str, int, Decimal, str]]:
    return [
        (
            one.place, one.free, _rounded(one.percent),
            f"{formats.byte_size(one.free)} of {formats.byte_size(one.size)}"
            f" ({formats.percent(one.percent / 100)}) are free at {one.path}.",
        )
        for one in look.disks
    ]  # fmt: skip


def _disk_percent(look: Look) -> list[Seen]:
    return [Seen(percent, words, place) for place, _, percent, words in _disk_words(look)]


def _disk_bytes(look: Look) -> list[Seen]:
    return [Seen(Decimal(free), words, place) for place, free, _, words in _disk_words(look)]


def _errors(look: Look) -> list[Seen]:
    found = look.requests
    if found is None or found.failed_percent is None:
        return [Seen(None, _unknown(look))]
    words = (
        f"{formats.count(found.failed)} of {_count(found.answered, 'answer', 'answers')} in the last"
        f" 5 minutes had a status from 500 on."
    )
    return [Seen(round(found.failed_percent, 6), words, sample=found.answered)]


def _p95(look: Look) -> list[Seen]:
    found = look.requests
    value = found.percentile_ms(95) if found else None
    if found is None or value is None:
        return [Seen(None, _unknown(look))]
    words = (
        f"95 of 100 answers in the last 5 minutes took {figures.figure(value, 'ms')} or less"
        f" ({_count(found.answered, 'answer', 'answers')})."
    )
    return [Seen(round(value, 6), words, sample=found.answered)]


def _pool(look: Look) -> list[Seen]:
    found = look.requests
    if found is None:
        return [Seen(None, _unknown(look))]
    number = found.pool_timeouts
    who = _count(number, "request", "requests")
    return [Seen(Decimal(number), f"{who} in the last 5 minutes got no database connection in time.")]  # fmt: skip


def _unknown(look: Look) -> str:
    return NOT_SEEN if look.totals is None else "Too little was counted in the last 5 minutes."


def _connections(look: Look) -> list[Seen]:
    found = look.connections
    words = f"{formats.count(found.used)} of {formats.count(found.most)} database connections are taken."
    return [Seen(_rounded(found.percent), words)]  # fmt: skip


def _redis(look: Look) -> list[Seen]:
    error = look.broker.error
    words = f"Redis does not answer ({error})." if error else "Redis answers."
    return [Seen(Decimal(look.broker.is_up), words)]


def _workers(look: Look) -> list[Seen]:
    broker = look.broker
    if not broker.is_up:
        return [Seen(None, "Workers are heard through Redis, which does not answer.")]
    number, none = len(broker.workers), broker.unserved
    words = f"{_count(number, 'worker is', 'workers are')} alive"
    words += f"; none serves {', '.join(none)}." if none else " and together serve every queue."
    return [Seen(Decimal(len(none)), words)]


def _beat(look: Look) -> list[Seen]:
    if look.beat_age_s is None:
        return [Seen(None, "The scheduler has never run.")]
    age = _rounded(look.beat_age_s)
    words = f"The scheduler last sent something {figures.figure(age, 'seconds')} ago."
    return [Seen(age, words)]


def _rounded(value: float) -> Decimal:
    return Decimal(str(round(max(0.0, value), 3)))


_WARNING, _ERROR, _CRITICAL = Severity.WARNING, Severity.ERROR, Severity.CRITICAL
CHECKS: tuple[Check, ...] = (
    Check(
        "redis", "Redis", "", _CRITICAL, "",
        "Start it, or check REDIS_URL. Nothing is lost: work waits in PostgreSQL.", _redis, is_above=False,
    ),
    Check(
        "workers", "Queues without a worker", "", _CRITICAL, "LLMLAB_WATCH_QUEUES_UNSERVED",
        "Start the workers of the Procfile, and look at their output. Work waits and is not lost.", _workers,
    ),
    Check(
        "beat", "Scheduler silent", "seconds", _CRITICAL, "LLMLAB_WATCH_BEAT_SECONDS",
        "Start one `celery -A config beat` (Procfile) and look at its output.", _beat,
    ),
    Check(
        "disk_free", "Disk space left", "bytes", _CRITICAL, "LLMLAB_WATCH_DISK_FREE_MB",
        "Free some space or grow the disk: PostgreSQL stops when it is full.", _disk_bytes, is_above=False, factor=MIB,
    ),
    Check(
        "disk_share", "Disk nearly full", "percent", _ERROR, "LLMLAB_WATCH_DISK_FREE_PERCENT",
        "Shorten LLMLAB_RETENTION_DAYS or the projects' retention, or grow the disk.", _disk_percent, is_above=False,
    ),
    Check(
        "partitions", "Day partitions ahead", "", _ERROR, "LLMLAB_WATCH_PARTITIONS_AHEAD",
        "Run: manage.py partitions --ensure, and see that scheduler and workers run.", _partitions, is_above=False,
    ),
    Check(
        "connections", "Database connections", "percent", _ERROR, "LLMLAB_WATCH_CONNECTIONS_PERCENT",
        "Raise max_connections, or lower LLMLAB_DB_POOL_SIZE, LLMLAB_WEB_PROCESSES or the workers' concurrency.",
        _connections,
    ),
    Check(
        "pool", "Connection pool exhausted", "", _ERROR, "LLMLAB_WATCH_POOL_TIMEOUTS",
        "Raise LLMLAB_DB_POOL_SIZE (and max_connections), or find the slow statements in pg_stat_activity.", _pool,
        is_of_requests=True,
    ),
    Check(
        "error_rate", "Failing answers", "percent", _ERROR, "LLMLAB_WATCH_ERROR_PERCENT",
        "Look at the web processes' output: 503 is storage or overload, 500 is a bug.", _errors,
        is_of_requests=True, is_sampled=True,
    ),
    Check(
        "p95", "Slow answers", "ms", _WARNING, "LLMLAB_WATCH_P95_MS",
        "More web processes (LLMLAB_WEB_PROCESSES), a larger database, or fewer long downloads at once.", _p95,
        is_of_requests=True, is_sampled=True,
    ),
    Check(
        "queue_depth", "Queue too long", "", _WARNING, "LLMLAB_WATCH_QUEUE_DEPTH",
        "Start more workers for this queue, or raise their concurrency.", _queues,
    ),
    Check(
        "outbox_age", "Follow-up work late", "seconds", _ERROR, "LLMLAB_WATCH_OUTBOX_SECONDS",
        "See that a worker serves the queues ingest and sync; add workers when it does.", _outbox_age,
    ),
    Check(
        "outbox_dead", "Follow-up work given up", "", _WARNING, "LLMLAB_WATCH_OUTBOX_DEAD",
        "Admin, Outbox items, state Given up: read the error, mend the cause, choose Replay.", _outbox_dead,
    ),
    Check(
        "deliveries_waiting", "Alert messages waiting", "", _WARNING, "LLMLAB_WATCH_DELIVERIES_WAITING",
        "See that the notify worker runs and that the mail server takes mail.", _deliveries_waiting,
    ),
    Check(
        "deliveries_age", "Alert messages late", "seconds", _ERROR, "LLMLAB_WATCH_DELIVERIES_SECONDS",
        "See that the notify worker runs (Procfile) and that the mail server takes mail.", _deliveries_age,
    ),
    Check(
        "deliveries_dead", "Alert messages given up", "", _WARNING, "LLMLAB_WATCH_DELIVERIES_DEAD",
        "The channels' pages say why; when many organisations are hit, check this server's way out.", _deliveries_dead,
    ),
    Check(
        "minutes_age", "Sums per minute late", "seconds", _ERROR, "LLMLAB_WATCH_MINUTES_SECONDS",
        "See that a worker serves the queue analysis, and look for costs.minutes.failed in its output.", _minutes,
    ),
    Check(
        "syncs_failed", "Bills not read", "", _WARNING, "LLMLAB_WATCH_SYNCS_FAILED",
        "Admin, Provider syncs, state Given up: the provider's words are there; often a key has ended.", _syncs,
    ),
)  # fmt: skip
