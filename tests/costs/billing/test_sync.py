"""The sync engine against the simulator: whole days replaced, corrections kept, trouble waited out or told."""

import datetime as dt
import logging
from decimal import Decimal
from typing import Any

import pytest

from core import jobs
from core.errors import ConflictError, DomainError
from core.models import Job
from costs import signals
from costs.billing import plan
from costs.billing import sync as engine
from costs.billing.redaction import clean_words
from costs.models import BilledCost, BilledRevision, BilledUsage, BillingAccount, ProviderSync
from costs.providers.base import Permanent
from projects.models import ProviderConnection
from tests.costs.billing.worlds import (
    NOW,
    account_of,
    at,
    billed,
    charge,
    day,
    finished,
    read,
    start,
    steps,
    total,
    used,
)
from tests.fakes.billing import BillingSimulator

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def _clock(bills: BillingSimulator) -> None:
    bills.faults(clock=NOW)


def month(provider: str) -> list[dict[str, Any]]:
    return [
        charge(provider, at(number, hour), f"{number}.{hour:02}1234567", key=f"key_{hour % 3}", token_class=kind)
        for number in range(8, 21)
        for hour in (3, 11)
        for kind in ("input", "output")
    ]  # fmt: skip


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_history_is_read_day_by_day_to_the_last_digit(
    bills: BillingSimulator, provider: str
) -> None:
    bills.world(*month(provider))
    account = account_of(bills, provider, history_from=day(1))
    news: list[dict[str, Any]] = []

    def hear(**values: Any) -> None:
        news.append(values)

    signals.sync_finished.connect(hear)
    try:
        sync = read(account, kind="backfill")
    finally:
        signals.sync_finished.disconnect(hear)
    account.refresh_from_db()
    assert (sync.state, sync.next_day, sync.error) == ("done", day(21), "")
    assert billed(account) == total(bills, provider)
    assert used(account, "input") == 26 * 1000
    assert sync.rows_added == BilledCost.objects.count() + BilledUsage.objects.count()
    assert (account.synced_through, account.currency) == (NOW, "USD")
    assert account.next_sync_at is not None
    assert NOW + HOUR <= account.next_sync_at <= NOW + 1.1 * HOUR
    job = Job.objects.get(pk=sync.job_id)
    assert (job.state, job.done, job.total) == ("done", 20, 20)
    assert [(one["first_day"], one["end_day"], one["account_id"]) for one in news] == [
        (day(1), day(21), account.pk)
    ]
    assert BilledRevision.objects.count() == 0
    dollars = BilledCost.objects.values_list("amount", "amount_usd")
    assert all(amount == usd for amount, usd in dollars)


def test_reading_again_changes_nothing(bills: BillingSimulator) -> None:
    bills.world(*month("openai"))
    account = account_of(bills)
    read(account)
    before = set(BilledCost.objects.values_list("pk", "fetched_at"))
    again = read(account, now=NOW + HOUR)
    assert (again.rows_added, again.rows_changed, again.rows_removed) == (0, 0, 0)
    assert set(BilledCost.objects.values_list("pk", "fetched_at")) == before


def test_corrections_replace_and_leave_a_trail(bills: BillingSimulator) -> None:
    later = NOW + dt.timedelta(hours=2)
    model = "gpt-5.5-2026-04-23"
    bills.world(
        charge("openai", at(18), "5"),
        charge("openai", at(18), "0.25", visible_from=later),  # a late part of the same line
        charge("openai", at(19), "2", token_class="output", visible_until=later),  # taken back
        charge("openai", at(19), "7", key="late", visible_from=later),  # a late line
        charge("openai", at(20), "1"),
        charge("openai", at(20), "3", visible_from=later),  # today goes on: no correction
    )
    account = account_of(bills)
    read(account)
    assert billed(account) == 8
    bills.faults(clock=later)
    sync = read(account, now=later)
    assert billed(account) == total(bills) == Decimal("16.25")
    trail = {
        (row.day.day, row.subject.split(" · ")[1]): (row.before, row.after)
        for row in BilledRevision.objects.filter(is_usage=False)
    }
    assert trail == {
        (18, "input"): (Decimal(5), Decimal("5.25")),
        (19, "output"): (Decimal(2), None),
        (19, "input"): (None, Decimal(7)),
    }
    changed = BilledCost.objects.get(day=day(18), model=model)
    assert (changed.revision, changed.fetched_at) == (2, later)
    assert BilledRevision.objects.filter(sync=sync, is_usage=True).exists()
    assert sync.rows_removed


def test_the_overlap_is_read_again_and_a_closed_month_once_more(bills: BillingSimulator) -> None:
    account = account_of(bills, history_from=dt.date(2026, 10, 1))
    read(account)
    account.refresh_from_db()
    plugin = engine.plugin_for("openai")
    assert plan.days_to_read(account=account, plugin=plugin, now=NOW + HOUR) == (day(17), day(21))
    closing = dt.datetime(2026, 12, 6, tzinfo=dt.UTC)
    found = plan.days_to_read(account=account, plugin=plugin, now=closing)
    assert found == (day(1), dt.date(2026, 12, 7))


@pytest.mark.parametrize("retry_after", [None, 40])
def test_a_busy_provider_is_waited_for(bills: BillingSimulator, retry_after: int | None) -> None:
    bills.world(*month("openai"))
    fault = {
        "kind": "status",
        "status": 429,
        "retry_after": retry_after,
        "times": 2,
        "message": "Slow down.",
    }
    bills.faults(clock=NOW, faults=[fault])
    account = account_of(bills)
    sync = start(account)
    assert steps(most=1) == 1
    sync.refresh_from_db()
    assert (sync.state, sync.attempts) == ("waiting", 1)
    assert "Slow down." in sync.error
    item = jobs.OutboxItem.objects.get(done_at=None)
    wait = (item.available_at - dt.datetime.now(dt.UTC)).total_seconds()
    least = retry_after or plan.BASE_WAIT_S
    assert least - 5 < wait <= least * 1.25
    assert finished(sync).state == "done"
    assert (sync.error, sync.attempts) == ("", 0)
    before = sum((one["amount"] for one in month("openai") if one["at"] < at(10, 0)), Decimal(0))
    assert billed(account) == total(bills) - before


def test_after_repeated_failure_it_is_given_up_and_tried_at_growing_distance(
    bills: BillingSimulator,
) -> None:
    bills.world(*month("openai"))
    account = account_of(bills)
    broken = {"kind": "status", "status": 500, "times": -1, "message": "The sky fell."}
    pauses = []
    for _ in range(2):
        bills.faults(clock=NOW, faults=[broken])
        BillingAccount.objects.update(next_sync_at=NOW)
        assert engine.run_due(NOW) == 1
        assert steps() == plan.TRIES
        account.refresh_from_db()
        assert account.next_sync_at is not None
        pauses.append(account.next_sync_at - NOW)
    assert pauses[0] < pauses[1]
    sync = ProviderSync.objects.latest("created_at")
    assert (sync.state, account.failures_in_a_row) == ("failed", 2)
    assert sync.error.startswith("Given up after 6 tries. OpenAI has a problem (status 500).")
    connection = ProviderConnection.objects.get()
    assert (connection.status, "The sky fell." in connection.status_message) == ("error", True)
    assert Job.objects.get(pk=sync.job_id).state == "failed"
    # Healed: the next one in time reads everything and clears what was said.
    bills.faults(clock=NOW)
    BillingAccount.objects.update(next_sync_at=NOW)
    engine.run_due(NOW)
    steps()
    connection.refresh_from_db()
    account.refresh_from_db()
    assert (connection.status, connection.status_message) == ("verified", "")
    assert account.failures_in_a_row == 0
    assert billed(account) > 0


def test_refused_credentials_are_told_at_once_without_the_key(
    bills: BillingSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider echoes the key in its words; neither page nor log shows it."""
    key = "sk-admin-veryverysecretinvalid"
    account = account_of(bills, key=key)
    with caplog.at_level(logging.DEBUG):
        sync = read(account)
    assert (sync.state, sync.attempts, sync.requests) == ("failed", 0, 1)
    assert "does not accept the credentials" in sync.error
    job = Job.objects.get(pk=sync.job_id)
    connection = ProviderConnection.objects.get(pk=account.connection_id)
    shown = [sync.error, job.message, connection.status_message, caplog.text]
    assert not any("veryverysecret" in text for text in shown)
    assert any("Incorrect API key provided" in text for text in shown)
    with pytest.raises(Permanent) as told:
        engine.check_connection(
            provider="openai",
            credentials={"admin_key": key},
            settings={"base_url": f"{bills.url}/v1"},
        )
    assert "veryverysecret" not in str(told.value)


def test_no_secret_survives_in_any_spelling() -> None:
    secret = "-----BEGIN KEY-----\nabc/def+ghi==\n-----END KEY-----"
    words = f"bad: {secret} or abc%2Fdef%2Bghi%3D%3D or sk-admin-aaaaaaaaaaaaaaaa\x00 by eve@example.com"
    shown = clean_words(words, {"file": secret})
    assert "def" not in shown
    assert "aaaa" not in shown
    assert "eve@" not in shown


def test_one_sync_of_an_account_at_a_time(bills: BillingSimulator) -> None:
    first, second = account_of(bills), account_of(bills, "anthropic")
    sync = start(first)
    with pytest.raises(ConflictError, match="being read already"):
        start(first)
    start(second)
    BillingAccount.objects.update(next_sync_at=NOW)
    assert engine.run_due(NOW) == 0
    assert finished(sync).state == "done"
    assert start(first).state == "queued"


def test_cancelled_between_days_and_resumed_there(bills: BillingSimulator) -> None:
    bills.world(*month("openai"))
    account = account_of(bills, history_from=day(1))
    sync = start(account, kind="backfill")
    steps(most=1)
    engine.cancel_sync(sync=ProviderSync.objects.get(pk=sync.pk), now=NOW)
    assert finished(sync).state == "cancelled"
    assert (sync.next_day, BilledCost.objects.filter(day__gte=day(11)).count()) == (day(11), 0)
    with pytest.raises(ConflictError):
        engine.cancel_sync(sync=sync, now=NOW)
    again = engine.resume_sync(sync=sync, now=NOW)
    assert finished(again).state == "done"
    assert billed(account) == total(bills)
    with pytest.raises(ConflictError):
        engine.resume_sync(sync=again, now=NOW)


def test_a_waiting_sync_is_cancelled_at_once(bills: BillingSimulator) -> None:
    fault = {"kind": "status", "status": 429, "retry_after": 7200, "times": 1}
    bills.faults(clock=NOW, faults=[fault])
    sync = start(account_of(bills))
    steps(most=1)
    sync.refresh_from_db()
    now = dt.datetime.now(dt.UTC)
    engine.cancel_sync(sync=sync, now=now)
    from core import outbox

    item = outbox.claim(now=now)
    assert item is not None
    outbox.run(item.pk, now=now)
    sync.refresh_from_db()
    assert sync.state == "cancelled"


def test_a_paused_connection_stops_and_is_not_scheduled(bills: BillingSimulator) -> None:
    account = account_of(bills)
    sync = start(account)
    ProviderConnection.objects.update(status="paused")
    assert finished(sync).state == "cancelled"
    assert "paused" in sync.error
    BillingAccount.objects.update(next_sync_at=NOW)
    assert engine.run_due(NOW) == 0
    assert ProviderConnection.objects.get().status == "paused"


def test_a_pause_while_the_provider_answers_keeps_its_answer_out(
    bills: BillingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills.world(*month("openai"))
    plugin = engine.plugin_for("openai")
    whole = plugin.read

    def paused_meanwhile(*arguments: Any) -> Any:
        reading = whole(*arguments)
        ProviderConnection.objects.update(status="paused")
        return reading

    monkeypatch.setattr(plugin, "read", paused_meanwhile)
    sync = read(account_of(bills))
    assert (sync.state, BilledCost.objects.count()) == ("cancelled", 0)


def test_an_account_deleted_meanwhile_ends_its_job(bills: BillingSimulator) -> None:
    account = account_of(bills)
    sync = start(account)
    account.delete()
    assert steps() == 1
    assert Job.objects.get(pk=sync.job_id).state == "done"


def test_a_slow_provider_is_asked_for_fewer_days(
    bills: BillingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costs.billing import step

    bills.world(*month("openai"))
    account = account_of(bills)
    bills.faults(clock=NOW, slow_s=0.05)
    monkeypatch.setattr(step, "BUDGET_S", 0.3)
    sync = start(account)
    steps(most=1)
    job = Job.objects.get(pk=sync.job_id)
    assert job.cursor == {"days": 5}
    monkeypatch.setattr(step, "BUDGET_S", 18)
    bills.faults(clock=NOW)
    assert finished(sync).state == "done"
    assert sync.attempts == 0


def test_an_answer_too_large_is_asked_for_in_parts(bills: BillingSimulator) -> None:
    bills.world(*month("openai"))
    account = account_of(bills)
    flood = {"kind": "flood", "megabytes": 9}
    bills.faults(clock=NOW, faults=[flood])
    sync = read(account)
    assert (sync.state, billed(account) > 0) == ("done", True)
    bills.faults(clock=NOW, faults=[{**flood, "times": -1}])
    sync = read(account)
    assert sync.state == "failed"
    assert "larger than 8 MiB" in sync.error


def test_a_reply_in_another_shape_is_waited_out_not_a_crash(
    bills: BillingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: Any) -> Any:
        raise KeyError("start_time")

    account = account_of(bills)
    sync = start(account)
    with monkeypatch.context() as patch:
        patch.setattr(engine.plugin_for("openai"), "read", odd)
        steps(most=1)
    sync.refresh_from_db()
    assert sync.state == "waiting"
    assert "not in the shape its documents describe (KeyError)" in sync.error
    assert finished(sync).state == "done"


@pytest.mark.parametrize(
    "days", [(day(20), day(20)), (day(25), day(28)), (day(1).replace(year=2015), day(2))]
)
def test_impossible_days_are_refused(
    bills: BillingSimulator, days: tuple[dt.date, dt.date]
) -> None:
    with pytest.raises(DomainError) as told:
        start(account_of(bills), first_day=days[0], end_day=days[1])
    assert told.value.fields == ("first_day", "end_day")
    assert ProviderSync.objects.count() == 0


def test_a_read_of_old_days_leaves_no_gap_behind(bills: BillingSimulator) -> None:
    """`synced_through` only says what was read without a gap."""
    account = account_of(bills, history_from=day(1))
    read(account, first_day=day(1), end_day=day(6))
    account.refresh_from_db()
    assert account.synced_through == at(6, 0)
    read(account, first_day=day(15), end_day=day(18))
    account.refresh_from_db()
    assert account.synced_through == at(6, 0)
    read(account)
    account.refresh_from_db()
    assert account.synced_through == NOW


def test_other_currencies_stay_as_billed_and_unknown_without_a_rate(
    bills: BillingSimulator,
) -> None:
    bills.world(charge("openai", at(18), "5", currency="EUR"))
    account = account_of(bills)
    read(account)
    line = BilledCost.objects.get()
    assert (line.amount, line.currency, line.amount_usd) == (5, "EUR", None)
    account.refresh_from_db()
    assert account.currency == "EUR"
