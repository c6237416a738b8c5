"""Celery shells of core: the outbox drain and its sweeper, partitions ahead."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from core import outbox, partitions


@shared_task(name="core.tasks.drain_outbox", queue="ingest", time_limit=300, soft_time_limit=270)
def drain_outbox(**_: Any) -> int:
    """Do what is due now."""
    return outbox.drain(now=timezone.now, is_slow=False)


@shared_task(name="core.tasks.drain_slow_outbox", queue="sync", time_limit=300, soft_time_limit=270)
def drain_slow_outbox(**_: Any) -> int:
    """Do what is due now and waits for others, a few at a time."""
    return outbox.drain(now=timezone.now, is_slow=True)


@shared_task(name="core.tasks.sweep_outbox", queue="ingest", time_limit=300, soft_time_limit=270)
def sweep_outbox(**_: Any) -> int:
    """Do what a lost message left behind, and forget what was done long ago."""
    outbox.ring_for_slow(now=timezone.now())
    done = outbox.drain(now=timezone.now, is_slow=False)
    outbox.forget_done(now=timezone.now())
    return done


@shared_task(
    name="core.tasks.make_partitions", queue="analysis", time_limit=120, soft_time_limit=100
)
def make_partitions(**_: Any) -> int:
    """Keep day partitions ahead of the clock."""
    return partitions.ensure_ahead(timezone.now().date())
