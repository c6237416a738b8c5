"""When rules are judged: budgets with each committed batch, windowed rules and a net under everything each minute.

Ingestion pays one function call per transaction: the doorbell below is rung after the commit, by another thread, at
most once a second in each process. A bell that is lost is made up for by the minute.
"""

import datetime as dt
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from kombu.exceptions import OperationalError

from alerts import glancing
from alerts.deciding import decide
from alerts.measures.base import Reading
from alerts.measures.budgets import budgets_by_rule, readings_of
from alerts.measures.needs import roll_minutes
from alerts.measures.registry import measures
from alerts.models import Alert, AlertEvent, AlertKind
from core import outbox

logger = logging.getLogger(__name__)

RING_EVERY_S = 1.0
ANOMALY_TOPIC = "alerts.anomaly"
NEWS = (
    AlertKind.FORECAST, AlertKind.ANOMALY, AlertKind.SYNC_FAILED, AlertKind.RECONCILIATION, AlertKind.CIRCUIT_OPEN,
)  # fmt: skip


class Doorbell:
    """The first ring of a second sends one message at its end: whoever rings in between committed before it."""

    def __init__(self) -> None:
        self.lock, self.pid, self.is_rung = threading.Lock(), os.getpid(), False

    def ring(self) -> None:
        """Never waits and never raises."""
        if (
            self.pid != os.getpid()
        ):  # a fork while it was rung would leave the child waiting for ever
            self.__init__()  # type: ignore[misc]
        with self.lock:
            if self.is_rung:
                return
            self.is_rung = True
        threading.Thread(target=self._send, name="budget-bell", daemon=True).start()

    def _send(self) -> None:
        rung = time.monotonic()
        import celery  # noqa: F401  # the first bell of a process waits anyway

        time.sleep(max(0.0, RING_EVERY_S + rung - time.monotonic()))
        with self.lock:
            self.is_rung = False
        send_bell()


_bell = Doorbell()


def send_bell() -> None:
    """Have a worker check budgets. Best effort."""
    from celery import current_app  # the broker client is only needed once something happened

    try:
        current_app.send_task(
            "alerts.tasks.check_budgets",
            queue="analysis",
            expires=60,
            retry=False,
            ignore_result=True,
        )
    except (OperationalError, OSError) as error:
        logger.info("alerts.bell_lost: %s", type(error).__name__)


def note_usage(sender: Any, **_: Any) -> None:
    """Receiver of costs.signals.usage_recorded, inside the ingesting transaction: no query, no waiting."""
    transaction.on_commit(_bell.ring, robust=True)


def note_repricing(sender: Any, **_: Any) -> None:
    """Receiver of costs.signals.repricing_ended: what was spent may be another sum now."""
    transaction.on_commit(_bell.ring, robust=True)


def note_anomaly(
    sender: Any, *, organization_id: UUID, anomaly_id: UUID, now: dt.datetime, **_: Any
) -> None:
    """Receiver of costs.signals.anomaly_found, inside the transaction that explained it."""
    outbox.enqueue(
        topic=ANOMALY_TOPIC,
        key=f"{ANOMALY_TOPIC}:{anomaly_id}",
        payload={"organization_id": str(organization_id)},
        now=now,
    )


def handle_anomaly(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Judge the anomaly rules of an organisation (outbox handler)."""
    alerts = _enabled([AlertKind.ANOMALY]).filter(organization_id=payload["organization_id"])
    _judge(list(alerts), now)


_SEEN = """
INSERT INTO alerts_budgetwatch (organization_id, versions, checked_at)
SELECT one.id, one.versions, %s FROM unnest(%s::uuid[], %s::bigint[]) AS one(id, versions)
ON CONFLICT (organization_id) DO UPDATE SET versions = excluded.versions, checked_at = excluded.checked_at
"""


def check_budgets(now: dt.datetime) -> list[AlertEvent]:
    """Judge the budget rules of organisations whose ledger moved since they were last judged; returns the incidents
    that changed. One query when nothing moved, those of budgets' sums where what moved is no news (alerts.glancing);
    else four more for any number of budgets and those of alerts.deciding for each organisation."""
    found = glancing.worth_judging(glancing.moved(), now)
    if not found:
        return []
    alerts = list(_enabled([AlertKind.BUDGET]).filter(organization_id__in=list(found)))
    pairs = list(budgets_by_rule(alerts))
    changed = decide(readings_of(pairs, now), now=now, watched=alerts)
    versions = [one.versions for one in found.values()]
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, [now, list(found), versions])
    glancing.remember(found, pairs)
    return changed


def evaluate_windowed(now: dt.datetime) -> list[AlertEvent]:
    """Sum up the minutes since the last time, then judge the rules that look at a window. Per kind the queries of its
    measure, and those of alerts.deciding. Where minutes are missing, measures say nothing of these rules."""
    try:
        roll_minutes(now)
    except Exception:  # the edge: rules that need no minutes are judged all the same
        logger.exception("alerts.minutes.failed")
    kinds = [one.kind for one in measures() if one.is_windowed]
    return _judge(list(_enabled(kinds)), now)


def check_news(now: dt.datetime) -> list[AlertEvent]:
    """Judge forecasts, anomalies, syncs, reconciliations and circuits."""
    return _judge(list(_enabled(NEWS)), now)


def check_all_budgets(now: dt.datetime) -> list[AlertEvent]:
    """Every budget rule, moved or not: edited and ended budgets, new periods, lost bells."""
    return _judge(list(_enabled([AlertKind.BUDGET])), now)


def _enabled(kinds: Sequence[str]) -> Any:
    return Alert.objects.filter(is_enabled=True, kind__in=kinds).order_by("pk")


def _judge(alerts: Iterable[Alert], now: dt.datetime) -> list[AlertEvent]:
    """Read each kind and decide once. A measure that fails is logged and leaves its rules as they are."""
    by_kind: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        by_kind[alert.kind].append(alert)
    readings: list[Reading] = []
    watched: list[Alert] = []
    for measure in measures():
        mine = by_kind.get(measure.kind)
        if not mine:
            continue
        try:
            readings += measure.read(mine, now)
            # A windowed rule without a reading is one whose minutes are not summed up yet: it stays as it is.
            watched += [] if measure.is_windowed else mine
        except Exception:  # the edge of one measure: the others are judged all the same
            logger.exception("alerts.measure.failed", extra={"kind": measure.kind})
    return decide(readings, now=now, watched=watched) if readings or watched else []
