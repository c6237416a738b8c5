"""Which message goes next, and by whom: the order of a rule, leases, how many at once, nothing twice."""

import datetime as dt
import json
import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.test import override_settings

from alerts import delivering
from alerts.claiming import DIED, claim
from alerts.delivering import deliver_due, send, sweep
from alerts.models import Channel, Delivery, DeliveryState
from tests.alerts.receiving import START, Clock, Receiver, fresh, hook, hook_id, ids, waiting
from tests.factories.alerts import ChannelFactory
from tests.fakes.http_server import Answer, FakeServer, Received, running_server

pytestmark = pytest.mark.django_db


def test_messages_of_a_rule_keep_their_order_and_hold_up_no_other(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    first, second = waiting(channel, 1, "a"), waiting(channel, 2, "a")
    other = waiting(channel, 3, "b")
    both = waiting(channel, 4, "a", "b")
    receiver.by_message[hook_id(first)] = 500
    deliver_due(now=clock)
    assert ids(server) == [hook_id(first)]  # the channel is failing: nothing else at once
    clock.forward(5)
    receiver.by_message.clear()
    receiver.by_message[hook_id(first)] = 500
    deliver_due(now=clock)
    # Another rule's message is the next to be tried, and got through.
    assert ids(server)[1] == hook_id(other)
    assert fresh(second).attempts == fresh(both).attempts == 0
    receiver.by_message.clear()
    clock.forward(60)
    deliver_due(now=clock)
    assert ids(server)[-3:] == [hook_id(first), hook_id(second), hook_id(both)]


def test_a_dead_one_does_not_block_its_rule(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    first, second = waiting(channel, 1, "a"), waiting(channel, 2, "a")
    Delivery.objects.filter(pk=first.pk).update(state=DeliveryState.DEAD)
    deliver_due(now=clock)
    assert ids(server) == [hook_id(second)]


def test_a_worker_killed_while_sending_is_made_up_for(server: FakeServer, clock: Clock) -> None:
    channel = hook(server)
    delivery = waiting(channel, 1)
    claimed = claim(now=clock.at)
    assert claimed is not None
    send_unrecorded(claimed.delivery)
    assert deliver_due(now=clock) == 0  # the lease holds
    clock.forward(61)
    assert deliver_due(now=clock) == 1
    assert ids(server) == [hook_id(delivery)] * 2
    keys = {json.loads(one.body)["data"]["dedup_key"] for one in server.received}
    assert len(keys) == 1
    row = fresh(delivery)
    assert (row.state, row.attempts) == (DeliveryState.SENT, 2)
    assert [one["error"] for one in row.tries] == [DIED, ""]


def send_unrecorded(delivery: Delivery) -> None:
    """What a worker does that is killed before it can say so."""
    carry, _ = delivering._carrier(delivery)
    carry(delivering.message_of(delivery, at=START))


def test_a_message_that_ends_ten_workers_is_given_up(server: FakeServer, clock: Clock) -> None:
    channel = hook(server)
    delivery = waiting(channel, 1)
    for _ in range(10):
        assert claim(now=clock.at) is not None
        clock.forward(61)
    assert claim(now=clock.at) is None
    assert fresh(delivery).state == DeliveryState.DEAD


def test_whose_lease_has_ended_writes_nothing_any_more(server: FakeServer, clock: Clock) -> None:
    channel = hook(server)
    delivery = waiting(channel, 1)
    late = claim(now=clock.at)
    clock.forward(61)
    second = claim(now=clock.at)
    assert late is not None
    assert second is not None
    assert send(late, now=clock) is True
    assert fresh(delivery).state == DeliveryState.SENDING
    send(second, now=clock)
    row = fresh(delivery)
    assert (row.state, row.attempts) == (DeliveryState.SENT, 2)


def test_three_at_once_to_one_channel_one_while_it_fails(server: FakeServer, clock: Clock) -> None:
    channel, other = hook(server), hook(server)
    for number in range(5):
        waiting(channel, number)
    waiting(other, 9)
    claimed = [claim(now=clock.at) for _ in range(5)]
    places = [one.delivery.channel_id for one in claimed if one]
    assert places.count(channel.pk) == 3
    assert places.count(other.pk) == 1
    Delivery.objects.update(state=DeliveryState.WAITING, locked_until=None)
    Channel.objects.filter(pk=channel.pk).update(failing_since=START)
    claimed = [claim(now=clock.at) for _ in range(3)]
    places = [one.delivery.channel_id for one in claimed if one]
    assert (places.count(channel.pk), places.count(other.pk)) == (1, 1)


def test_dead_receivers_leave_threads_for_the_others(server: FakeServer, clock: Clock) -> None:
    for number in range(8):
        waiting(hook(server, failing_since=START), number)
    well = waiting(hook(server), 99, at=START + dt.timedelta(seconds=1))
    clock.forward(2)
    claimed = [claim(now=clock.at) for _ in range(9)]
    got = [one.delivery.pk for one in claimed if one]
    assert len(got) == 7
    assert well.pk in got


def test_a_pause_between_messages_is_kept(server: FakeServer, clock: Clock) -> None:
    channel = ChannelFactory(kind="slack", secret=hook(server).secret)
    for number in range(2):
        waiting(channel, number)
    assert claim(now=clock.at) is not None
    assert claim(now=clock.at) is None
    clock.forward(1.5)
    assert claim(now=clock.at) is not None


def test_disabled_channels_send_nothing_but_tests(server: FakeServer, clock: Clock) -> None:
    channel = hook(server, is_enabled=False, disabled_reason="Ann switched it off.")
    stale, trial = waiting(channel, 1), waiting(channel, 2, action="test")
    sweep(now=clock)
    assert ids(server) == [hook_id(trial)]
    assert fresh(trial).state == DeliveryState.SENT
    row = fresh(stale)
    assert (row.state, row.error) == (
        DeliveryState.DEAD, "The channel is disabled: Ann switched it off.",
    )  # fmt: skip


def test_a_claim_costs_the_same_however_much_waits(
    server: FakeServer, clock: Clock, django_assert_max_num_queries: Any
) -> None:
    channel = hook(server)
    for number in range(30):
        waiting(channel, number, "one lane")
    with django_assert_max_num_queries(8):
        claim(now=clock.at)


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_sending(clock: Clock) -> None:
    ours = connections["default"]  # of this thread, which is the worker's
    held: list[bool] = []

    def answer(request: Received, number: int) -> Answer:
        held.append(ours.connection is not None)
        return 200, {}, b"ok"

    with running_server(answer) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        delivery = waiting(hook(fake), 1)
        deliver_due(now=clock)
    assert held == [False]
    assert fresh(delivery).state == DeliveryState.SENT


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_each_message_once_and_in_order(receiver: Receiver) -> None:
    with (
        running_server(receiver) as fake,
        override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]),
    ):
        channels = [hook(fake) for _ in range(2)]
        rows = [waiting(channels[n % 2], n, f"rule {n // 2 % 3}") for n in range(24)]
        clock = Clock()
        threads = [threading.Thread(target=_drain, args=(clock,)) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(ids(fake)) == sorted(hook_id(one) for one in rows)
        for channel in channels:
            for lane in range(3):
                wanted = [
                    hook_id(one)
                    for one in rows
                    if one.channel_id == channel.pk and one.lanes == [f"rule {lane}"]
                ]
                assert [one for one in ids(fake) if one in wanted] == wanted


def _drain(clock: Clock) -> None:
    try:
        deliver_due(now=clock)
    finally:
        connection.close()
