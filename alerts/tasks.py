"""Celery shells of alerts. Rules are judged in the queue `analysis`: its threads never wait for a receiver, as those of
`notify` do."""

from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection
from django.urls import get_resolver
from django.utils import timezone

from alerts import acting, checking, delivering
from alerts.inbox import digests
from alerts.platform import watching

# Celery closes the connections of its own threads after each task. This thread begins with the first bell, so after
# any fork, and looks one at a time.
_lasting = ThreadPoolExecutor(1, thread_name_prefix="budget-look")
# One look may wait for the one under way: it sees what all bells until it begins were rung for.
_next = BoundedSemaphore()


@shared_task(name="alerts.tasks.deliver", queue="notify", time_limit=300, soft_time_limit=270)
def deliver(**_: Any) -> int:
    """Send the messages that are due."""
    return delivering.deliver_due(now=timezone.now)


@worker_ready.connect
def look_at_once(sender: Any, **_: Any) -> None:
    """A worker that begins judges what was committed while there was none; the first incident then finds everything
    read that takes time (the pages it links to: a quarter of a second)."""
    if "analysis" in sender.app.amqp.queues.consume_from and _next.acquire(blocking=False):
        _lasting.submit(_begin)


def _begin() -> int:
    _ = get_resolver().reverse_dict
    return _look()


@shared_task(
    name="alerts.tasks.sweep_deliveries", queue="notify", time_limit=300, soft_time_limit=270
)
def sweep_deliveries(**_: Any) -> int:
    """Send what a lost bell or a killed worker left behind, and forget what ended long ago."""
    return delivering.sweep(now=timezone.now)


@shared_task(name="alerts.tasks.check_budgets", queue="analysis", time_limit=60, soft_time_limit=50)
def check_budgets(**_: Any) -> int:
    """Budgets of organisations whose ledger moved: rung after commits. A slow look holds two threads, however often
    it is rung for."""
    return _lasting.submit(_look).result(timeout=50) if _next.acquire(blocking=False) else 0


def _look() -> int:
    """On the thread that keeps its connection: opening one each second costs more than the look itself."""
    _next.release()
    if connection.connection is not None and not connection.is_usable():
        connection.close()
    try:
        return len(checking.check_budgets(timezone.now()))
    except BaseException:
        connection.close()
        raise


@shared_task(name="alerts.tasks.evaluate", queue="analysis", time_limit=120, soft_time_limit=100)
def evaluate(**_: Any) -> int:
    """Every rule, each minute."""
    now = timezone.now()
    changed = [*checking.evaluate_windowed(now), *checking.check_all_budgets(now)]
    return len(changed) + len(checking.check_news(now))


@shared_task(name="alerts.tasks.keep_time", queue="analysis", time_limit=120, soft_time_limit=100)
def keep_time(**_: Any) -> int:
    """Snoozes that end, escalations, reminders, and what quiet times kept back, each minute."""
    now = timezone.now()
    turns = (acting.wake_due, acting.tell_after_quiet, acting.escalate_due, acting.remind_due)
    return sum(turn(now) for turn in turns)


@shared_task(
    name="alerts.tasks.watch_platform", queue="analysis", time_limit=55, soft_time_limit=50
)
def watch_platform(**_: Any) -> int:
    """LLMLab looks at itself, each minute."""
    return len(watching.watch(now=timezone.now()))


@shared_task(
    name="alerts.tasks.send_digests", queue="analysis", time_limit=120, soft_time_limit=100
)
def send_digests(**_: Any) -> int:
    """Queue the digests that are due; `deliver` sends them."""
    return digests.run_due(now=timezone.now())
