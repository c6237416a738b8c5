"""Tests of connections: asked for on a page, done by a worker, their outcome kept with the connection."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from kombu.exceptions import OperationalError

from accounts.models import User
from core import crypto
from core.errors import ConflictError, DomainError
from gateway.connections.probing import Seen, probe
from gateway.connections.rows import audit, locked
from gateway.connections.values import clean_models
from gateway.models import Connection, ConnectionKey, KeyState
from gateway.snapshot import ConnectionView, KeyView

logger = logging.getLogger(__name__)

TASK = "gateway.tasks.check_connection"
# Longer than a test may take: whoever has not answered by then is gone.
PATIENCE = dt.timedelta(seconds=90)
NOBODY = "No worker did the test within 90 seconds. See that one serves the queue llm.high."


def is_testing(row: Connection, now: dt.datetime) -> bool:
    """Whether a test is under way."""
    return (
        _is_open(row) and row.check_started_at is not None and now - row.check_started_at < PATIENCE
    )


def is_lost(row: Connection, now: dt.datetime) -> bool:
    """Whether nobody did the last test (NOBODY says so)."""
    return _is_open(row) and not is_testing(row, now)


def _is_open(row: Connection) -> bool:
    started = row.check_started_at
    return started is not None and (row.checked_at is None or row.checked_at < started)


@transaction.atomic
def start_test(
    *, connection: Connection, actor: User, now: dt.datetime, model: str = ""
) -> Connection:
    """Have a worker make one cheap call with each key. Raises ConflictError while one is under way or without a key,
    DomainError for a `model` that is none."""
    row = locked(connection)
    if is_testing(row, now):
        raise ConflictError("A test is under way; wait for its outcome.")
    if model:
        model = clean_models([model])[0]
    row.check_started_at = now
    row.save(update_fields=["check_started_at"])
    audit(row, actor, "tested")
    transaction.on_commit(lambda: _ring(row.pk, now, model), robust=True)
    return row


def _ring(connection_id: UUID, started_at: dt.datetime, model: str) -> None:
    from celery import (
        current_app,
    )  # the broker client is only needed once there is something to send

    try:
        current_app.send_task(
            TASK,
            kwargs={
                "connection_id": str(connection_id),
                "started_at": started_at.isoformat(),
                "model": model,
            },
            queue="llm.high",
            expires=PATIENCE.total_seconds(),
            retry=False,
            ignore_result=True,
        )
    except OperationalError:
        logger.warning("gateway.connection.test_unsent")
        _store(
            connection_id,
            started_at,
            started_at,
            Seen("The message broker does not answer; test again."),
        )


def run_test(
    *, connection_id: UUID, started_at: dt.datetime, now: Callable[[], dt.datetime], model: str = ""
) -> bool:
    """Do what `start_test` asked for, and keep what came of it; False when it is not asked for any more."""
    row = (
        Connection.objects.select_related("organization")
        .filter(pk=connection_id, check_started_at=started_at)
        .first()
    )
    if row is None or not is_testing(row, now()):
        return False
    view, cipher = view_of(row, now()), crypto.data_cipher(row.organization.data_key)
    if (
        not database.in_atomic_block
    ):  # the provider takes its time; in tests the whole test is one transaction
        database.close()
    try:
        seen = asyncio.run(probe(view, cipher, now=now(), model=model))
    except DomainError as error:
        seen = Seen(error.detail)
    except (
        Exception
    ) as error:  # process edge: the page must not wait for an outcome that never comes
        logger.exception("gateway.connection.test_failed")
        seen = Seen(f"LLMLab failed while testing ({type(error).__name__}).")
    _store(connection_id, started_at, now(), seen)
    return True


@transaction.atomic
def _store(connection_id: UUID, started_at: dt.datetime, ended_at: dt.datetime, seen: Seen) -> None:
    """Keep the outcome, unless another test began meanwhile."""
    row = Connection.objects.select_for_update().filter(pk=connection_id).first()
    if row is None or row.check_started_at != started_at:
        return
    row.checked_at = max(ended_at, started_at)
    row.check_state = Connection.Check.OK if seen.is_ok else Connection.Check.ERROR
    row.check_message, row.check_model, row.check_ms = seen.words, seen.model, seen.ms
    fields = ["checked_at", "check_state", "check_message", "check_model", "check_ms"]
    if seen.offered:
        row.offered_models = seen.offered
        fields.append("offered_models")
    row.save(update_fields=fields)
    for key in ConnectionKey.objects.filter(
        connection=row, pk__in=[UUID(hex=one) for one in seen.keys]
    ):
        key.last_error, key.checked_at = seen.keys[key.pk.hex], row.checked_at
        key.save(update_fields=["last_error", "checked_at"])


def view_of(row: Connection, now: dt.datetime) -> ConnectionView:
    """The connection as processes know it (gateway.snapshot), switched off or not. One query."""
    usable = Q(state=KeyState.ACTIVE) | Q(state=KeyState.RETIRING, retires_at__gt=now)
    return ConnectionView(
        id=row.pk.hex,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        settings=row.settings,
        model_names=tuple(row.model_names),
        keys=tuple(
            KeyView(key.pk.hex, bytes(key.sealed), key.hint, key.weight, key.retires_at)
            for key in row.keys.filter(usable).order_by("created_at")
        ),
    )
