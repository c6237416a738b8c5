"""One step of a sync, and what its end leaves behind (the runner of jobs of KIND)."""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.utils import timezone

from core import jobs
from core.crypto import DecryptionError
from core.http import OutboundClient
from core.models import Job
from costs import signals
from costs.billing import plan
from costs.billing.redaction import clean_words
from costs.billing.replace import Counts, Scope, replace_days, settled_days
from costs.models import BillingAccount, ProviderSync
from costs.providers.base import BillingPlugin, Permanent, ProviderError, Reading, Retryable
from costs.providers.registry import plugin_for
from projects.connections import open_credentials
from projects.models import ProviderConnection

logger = logging.getLogger(__name__)

KIND = "costs.billing_sync"
# A step waits for the provider inside its transaction, which may idle for 30 s (config.settings).
BUDGET_S, REQUEST_S = 18.0, 15.0
State, Status = ProviderSync.State, ProviderConnection.Status


@dataclass
class Access:
    """What a step needs to ask the provider."""

    sync: ProviderSync
    account: BillingAccount
    connection: ProviderConnection
    plugin: BillingPlugin
    credentials: dict[str, str]


def run(job: Job, *, now: dt.datetime) -> jobs.Step:
    """Read the next days and replace them; or wait, or give up, in the provider's words."""
    sync = _sync_of(job)
    if sync is None or sync.state in (State.DONE, State.FAILED, State.CANCELLED):
        return jobs.Step(0, None, "This sync has ended.")
    try:
        access = _access(sync)
    except Permanent as error:
        return _give_up(sync, error.message)
    if access.connection.status == Status.PAUSED:
        return _stop(sync, State.CANCELLED, "The connection was paused.")
    if sync.next_day >= sync.end_day:
        return jobs.Step(0, None, _summary(sync))
    days = min(int(job.cursor.get("days") or 0) or access.plugin.days_per_read, _left(sync))
    end = sync.next_day + days * plan.DAY
    with OutboundClient(total_s=REQUEST_S, budget_s=BUDGET_S) as client:
        try:
            reading = _read(access, client, end)
        except ProviderError as error:
            sync.requests += client.requests
            is_too_much = client.is_out_of_time or getattr(error, "code", "") == "reply_too_large"
            if is_too_much and days > 1:
                return _ask_for_less(sync, days)
            if isinstance(error, Retryable):
                return _wait(access, error, job)
            return _give_up(sync, clean_words(error.message, access.credentials))
    return _store(access, reading, end, job.cursor.get("days", 0), now)


def _read(access: Access, client: OutboundClient, end: dt.date) -> Reading:
    """What the provider says about the next days. A reply in another shape than its documents say is as good as none:
    Retryable, since it may be a proxy's or a moment's."""
    try:
        return access.plugin.read(
            client, access.credentials, access.connection.settings, access.sync.next_day, end
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        logger.exception("costs.sync.unreadable", extra={"sync_id": str(access.sync.pk)})
        name = access.plugin.label
        raise Retryable(
            f"{name}'s reply is not in the shape its documents describe ({type(error).__name__})."
        ) from None


def _sync_of(job: Job) -> ProviderSync | None:
    return (
        ProviderSync.objects.select_related("account__connection__organization")
        .filter(pk=job.params["sync_id"])
        .first()
    )


def _access(sync: ProviderSync) -> Access:
    connection = sync.account.connection
    try:
        credentials = open_credentials(connection)
        plugin = plugin_for(connection.provider)
    except DecryptionError:
        raise Permanent("The credentials cannot be opened; enter them again.") from None
    except LookupError as error:
        raise Permanent(str(error)) from None
    return Access(sync, sync.account, connection, plugin, credentials)


def _left(sync: ProviderSync) -> int:
    return (sync.end_day - sync.next_day).days


def _store(
    access: Access, reading: Reading, end: dt.date, pace: int, now: dt.datetime
) -> jobs.Step:
    """Write the days and move on. The sync is locked first: an account that is being deleted ends here."""
    sync, account = access.sync, access.account
    locked = (
        BillingAccount.objects.select_for_update(of=("self",))
        .select_related("connection")
        .filter(pk=account.pk)
        .first()
    )
    if locked is None:
        return jobs.Step(0, None, "The connection was deleted.")
    if locked.connection.status == Status.PAUSED:  # while the provider answered
        return _stop(sync, State.CANCELLED, "The connection was paused.")
    zone = locked.time_zone

    def ends_at(day: dt.date) -> dt.datetime:
        return plan.midnight(day + plan.DAY, zone)

    settled = settled_days(
        account=locked, sync=sync, first_day=sync.next_day, end_day=end, ends_at=ends_at
    )
    scope = Scope(locked, sync, sync.next_day, end, settled, now)
    counts = replace_days(scope=scope, reading=reading)
    _move_account(locked, sync, reading, end, now)
    days = (end - sync.next_day).days
    _move_sync(sync, counts, reading, end, now)
    is_last = end >= sync.end_day
    message = _summary(sync) if is_last else f"Read up to {end - plan.DAY}. {_summary(sync)}"
    return jobs.Step(days, None if is_last else {"days": pace}, message)


def _move_account(
    account: BillingAccount,
    sync: ProviderSync,
    reading: Reading,
    end: dt.date,
    now: dt.datetime,
) -> None:
    """How far the bill is known without a gap."""
    reached = min(plan.midnight(end, account.time_zone), now)
    begins = plan.midnight(sync.first_day, account.time_zone)
    if account.synced_through is None or begins <= account.synced_through < reached:
        account.synced_through = reached
    if reading.data_through is not None and end >= sync.end_day:
        account.data_through = reading.data_through
    if not account.currency and reading.costs:
        account.currency = reading.costs[0].currency[:8]
    account.save(update_fields=["synced_through", "data_through", "currency", "updated_at"])


def _move_sync(
    sync: ProviderSync, counts: Counts, reading: Reading, end: dt.date, now: dt.datetime
) -> None:
    sync.state, sync.attempts, sync.error = State.RUNNING, 0, ""
    sync.started_at = sync.started_at or now
    sync.next_day = end
    sync.requests += reading.requests
    sync.rows_added += counts.added
    sync.rows_changed += counts.changed
    sync.rows_removed += counts.removed
    sync.save(force_update=True)


def _summary(sync: ProviderSync) -> str:
    return (
        f"{sync.rows_added:,} lines added, {sync.rows_changed:,} changed, {sync.rows_removed:,} removed"
        f" in {sync.requests:,} requests."
    )


def _ask_for_less(sync: ProviderSync, days: int) -> jobs.Step:
    """The answer to so many days does not fit into a step."""
    sync.save(force_update=True)
    fewer = max(1, days // 2)
    message = f"The answer to {days} days is too large or too slow; asking for {fewer} at a time."
    return jobs.Step(0, {"days": fewer}, message)


def _wait(access: Access, error: Retryable, job: Job) -> jobs.Step:
    """Try again later; give up after plan.TRIES."""
    sync = access.sync
    words = clean_words(error.message, access.credentials)
    sync.attempts += 1
    if sync.attempts >= plan.TRIES:
        return _give_up(sync, f"Given up after {sync.attempts} tries. {words}")
    wait_s = plan.wait_before_retry(attempts=sync.attempts, retry_after_s=error.retry_after_s)
    sync.state, sync.error = State.WAITING, words
    sync.save(force_update=True)
    message = f"{words} Try {sync.attempts + 1} of {plan.TRIES} in {max(1, round(wait_s)):,} s."
    return jobs.Step(0, {"days": job.cursor.get("days", 0)}, message, wait_s=wait_s)


def _give_up(sync: ProviderSync, words: str) -> jobs.Step:
    return _stop(sync, State.FAILED, words)


def _stop(sync: ProviderSync, state: str, words: str) -> jobs.Step:
    """End with this state: the job's end takes it over (`ended`)."""
    sync.state, sync.error = state, words
    sync.save(force_update=True)
    return jobs.Step(0, None, words)


_STATES: dict[str, str] = {State.FAILED: Job.State.FAILED, State.CANCELLED: Job.State.CANCELLED}


def ended(job: Job) -> None:
    """However the job ended: the sync's state, the account's schedule, the connection's status, the news."""
    sync = _sync_of(job)
    if sync is None:
        return
    now = job.ended_at or timezone.now()
    if sync.state in _STATES:
        job.state = _STATES[sync.state]
    else:
        sync.state = job.state
        if job.state == Job.State.FAILED:
            sync.error = clean_words(job.message, {})
    sync.ended_at = now
    sync.save(update_fields=["state", "error", "ended_at", "updated_at"])
    _tell_account(sync, now)
    _tell_connection(sync, now)
    if sync.next_day > sync.first_day:
        signals.sync_finished.send(
            sender=ProviderSync,
            organization_id=sync.organization_id,
            account_id=sync.account_id,
            first_day=sync.first_day,
            end_day=sync.next_day,
            now=now,
        )
    event = "costs.sync.failed" if sync.state == State.FAILED else "costs.sync.ended"
    logger.info("%s %s", event, sync.state, extra={"sync_id": str(sync.pk)})


def _tell_account(sync: ProviderSync, now: dt.datetime) -> None:
    account = BillingAccount.objects.get(pk=sync.account_id)
    values: dict[str, Any] = {}
    if sync.state == State.DONE:
        account.failures_in_a_row = values["failures_in_a_row"] = 0
        values["last_success_at"] = now
    elif sync.state == State.FAILED:
        account.failures_in_a_row += 1
        values["failures_in_a_row"] = F("failures_in_a_row") + 1
    values["next_sync_at"] = plan.next_run(account=account, now=now)
    BillingAccount.objects.filter(pk=account.pk).update(**values, updated_at=now)


def _tell_connection(sync: ProviderSync, now: dt.datetime) -> None:
    """A sync that ended well heals the connection, one that was given up marks it; a paused one stays paused."""
    rows = ProviderConnection.objects.filter(pk=sync.account.connection_id).exclude(
        status=Status.PAUSED
    )
    if sync.state == State.DONE:
        rows.exclude(status=Status.VERIFIED, status_message="").update(
            status=Status.VERIFIED, status_message="", verified_at=now, updated_at=now
        )
    elif sync.state == State.FAILED:
        rows.update(status=Status.ERROR, status_message=sync.error, updated_at=now)
