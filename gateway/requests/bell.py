"""Wakes those who tell of jobs that ended; a lost bell is made up for by the sweep within 10 s."""

import logging

from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)
RING_WITHIN_S = 300


def ring(wait_s: float = 0) -> None:
    """Best effort, when a webhook is due."""
    if wait_s > RING_WITHIN_S:
        return
    from celery import (
        current_app,  # the broker client is only needed once there is something to tell
    )

    try:
        current_app.send_task(
            "gateway.tasks.tell_of_jobs",
            queue="notify",
            countdown=wait_s or None,
            retry=False,
            ignore_result=True,
        )
    except OperationalError as error:
        logger.warning("gateway.jobs.bell_lost: %s", type(error).__name__)
