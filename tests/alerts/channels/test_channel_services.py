"""Channels as rows: sealed, bound to themselves, changed only with their secrets at hand."""

import datetime as dt
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import AuditEvent
from alerts.channel_pages import services
from alerts.channels.base import Permanent
from alerts.channels.secrets import open_secret, seal_again
from alerts.models import Channel, Delivery
from alerts.outcomes import Try, record
from core import crypto
from core.crypto import DecryptionError
from core.errors import ConflictError, DomainError
from tests.alerts.channels.test_pagerduty import KEY

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
URL = "https://8.8.8.8/hook/token-abcd"


def make(acme: SimpleNamespace, kind: str = "webhook", **values: Any) -> services.Saved:
    return services.create_channel(
        organization=acme.organization, kind=kind, name=f"My {kind}", values=values or {"url": URL},
        actor=acme.admin.user, now=NOW,
    )  # fmt: skip


def change(acme: SimpleNamespace, channel: Channel, **what: Any) -> services.Saved:
    return services.change_channel(channel=channel, actor=acme.admin.user, now=NOW, **what)


def fresh(channel: Channel) -> Channel:
    return Channel.objects.select_related("organization").get(pk=channel.pk)


def test_a_secret_is_sealed_and_bound_to_its_row(acme: SimpleNamespace) -> None:
    one = make(acme).channel
    two = services.create_channel(
        organization=acme.organization, kind="webhook", name="Other", values={"url": URL},
        actor=acme.admin.user, now=NOW,
    ).channel  # fmt: skip
    assert b"token" not in bytes(fresh(one).secret)
    assert open_secret(fresh(one))["url"] == URL
    assert fresh(one).hint == "8.8.8.8 …abcd"
    Channel.objects.filter(pk=two.pk).update(secret=fresh(one).secret)
    with pytest.raises(DecryptionError):
        open_secret(fresh(two))
    assert "token" not in str(list(AuditEvent.objects.values_list("data", flat=True)))


def test_operators_channels_are_sealed_with_the_master_key(acme: SimpleNamespace) -> None:
    saved = services.create_channel(
        organization=None, kind="webhook", name="Operators", values={"url": URL}, actor=acme.admin.user, now=NOW
    )  # fmt: skip
    assert open_secret(fresh(saved.channel))["url"] == URL


def test_a_new_master_key_seals_operators_channels_again(
    acme: SimpleNamespace, settings: Any
) -> None:
    channel = services.create_channel(
        organization=None, kind="webhook", name="Operators", values={"url": URL}, actor=acme.admin.user, now=NOW
    ).channel  # fmt: skip
    old = settings.LLMLAB_ENCRYPTION_KEYS
    new = b64encode(b"n" * 32).decode()
    settings.LLMLAB_ENCRYPTION_KEYS = [new, *old]
    call_command("rewrap_data_keys")
    settings.LLMLAB_ENCRYPTION_KEYS = [new]
    assert open_secret(fresh(channel))["url"] == URL


def test_a_new_data_key_seals_channels_again(acme: SimpleNamespace) -> None:
    channel = make(acme).channel
    organization = acme.organization
    organization.data_key = crypto.with_new_key(organization.data_key)
    seal_again(organization)
    organization.data_key = crypto.newest_only(organization.data_key)
    organization.save()
    assert open_secret(fresh(channel))["url"] == URL


def test_what_is_left_empty_stays_and_a_changed_url_makes_a_new_signing_secret(
    acme: SimpleNamespace,
) -> None:
    saved = make(acme, url=URL, authorization="Bearer abc")
    before = open_secret(fresh(saved.channel))
    assert saved.shown == before["signing"]
    assert change(acme, saved.channel, values={"url": "", "authorization": ""}).shown == ""
    assert open_secret(fresh(saved.channel)) == before
    again = change(acme, saved.channel, values={"url": "https://8.8.4.4/other/wxyz"})
    after = open_secret(fresh(saved.channel))
    assert again.shown == after["signing"] != before["signing"]
    # Another address never sees the header that was meant for the first.
    assert "authorization" not in after
    assert fresh(saved.channel).hint == "8.8.4.4 …wxyz"


def test_an_optional_secret_can_be_forgotten(acme: SimpleNamespace) -> None:
    saved = make(acme, url=URL, authorization="Bearer abc")
    change(acme, saved.channel, values={"authorization": None})
    after = open_secret(fresh(saved.channel))
    assert "authorization" not in after
    assert after["signing"] == saved.shown


def test_another_address_of_pagerduty_asks_for_the_key_again(acme: SimpleNamespace) -> None:
    channel = make(acme, "pagerduty", routing_key=KEY).channel
    for values in (
        {"region": "eu"},
        {"region": "other", "base_url": "https://8.8.8.8"},
    ):
        with pytest.raises(DomainError) as told:
            change(acme, channel, values=values)
        assert told.value.fields == ("routing_key",)
    assert fresh(channel).settings["region"] == "us"
    change(acme, channel, values={"region": "eu", "routing_key": KEY})
    assert fresh(channel).settings["region"] == "eu"


def test_mending_the_access_switches_a_broken_channel_on_again(acme: SimpleNamespace) -> None:
    channel = make(acme).channel
    Channel.objects.filter(pk=channel.pk).update(
        is_enabled=False, disabled_at=NOW, disabled_reason="gone", failures=3, failing_since=NOW
    )
    change(acme, channel, values={"url": URL})
    assert not fresh(channel).is_enabled  # nothing was mended
    change(acme, channel, values={"url": "https://8.8.4.4/new/abcd"})
    row = fresh(channel)
    assert (row.is_enabled, row.disabled_reason, row.failures, row.failing_since) == (True, "", 0, None)  # fmt: skip
    services.disable_channel(channel=channel, actor=acme.admin.user, now=NOW)
    change(acme, channel, values={"url": URL})
    assert not fresh(channel).is_enabled  # a person switched it off


def test_an_answer_to_the_access_of_before_does_not_switch_the_mended_channel_off(
    acme: SimpleNamespace,
) -> None:
    channel = make(acme).channel
    row = Delivery.objects.create(
        organization=acme.organization, channel=channel, action="trigger", dedup_key="d", unique_key="d", payload={},
        state="sending", attempts=1, created_at=NOW, next_attempt_at=NOW, locked_until=NOW + dt.timedelta(minutes=1),
    )  # fmt: skip
    change(acme, channel, values={"url": "https://8.8.4.4/new/abcd"})
    gone = Permanent("It is gone for good (410).", disables=True, status=410)
    assert not record(Try(row, 1, NOW, NOW, failure=gone))
    assert fresh(channel).is_enabled
    row.refresh_from_db()
    assert (row.state, row.locked_until) == ("waiting", None)  # sent again, with the new access


def test_rotation_keeps_the_old_secret_for_a_day(acme: SimpleNamespace) -> None:
    saved = make(acme)
    again = services.rotate_secret(channel=saved.channel, actor=acme.admin.user, now=NOW)
    secret = open_secret(fresh(saved.channel))
    assert (secret["signing"], secret["signing_before"]) == (again.shown, saved.shown)
    assert secret["signing_before_until"] == "2026-11-22T12:00:00+00:00"
    mail = make(acme, "email", to="a@example.com").channel
    with pytest.raises(ConflictError):
        services.rotate_secret(channel=mail, actor=acme.admin.user, now=NOW)


def test_names_are_unique_whatever_their_case(acme: SimpleNamespace) -> None:
    make(acme)
    with pytest.raises(ConflictError, match="choose another name"):
        services.create_channel(
            organization=acme.organization, kind="webhook", name="MY WEBHOOK", values={"url": URL},
            actor=acme.admin.user, now=NOW,
        )  # fmt: skip
    other = make(acme, "email", to="a@example.com").channel
    with pytest.raises(ConflictError, match="choose another name"):
        change(acme, other, name="MY WEBHOOK", minimum_severity="critical")
    assert (fresh(other).name, fresh(other).minimum_severity) == ("My email", "info")
    assert change(acme, other, name="MY EMAIL").channel.name == "MY EMAIL"


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("webhook", {}, "url"), ("webhook", {"url": "https://127.0.0.1/"}, "url"), ("webhook", {"url": 5}, "url"),
        ("webhook", {"url": URL, "nonsense": "x"}, "nonsense"),
        ("webhook", {"url": URL, "signing": "whsec_x"}, "signing"),
        ("email", {"to": "nobody"}, "to"), ("email", {"to": {"a": "b"}}, "to"), ("slack", {"url": URL}, "url"),
        ("pigeon", {}, "kind"), ("pagerduty", {"region": 7, "routing_key": KEY}, "region"),
        ("pagerduty", {"region": "other", "base_url": ["x"], "routing_key": KEY}, "base_url"),
        ("slack", {"service": ["x"], "url": URL}, "service"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    acme: SimpleNamespace, kind: str, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(DomainError) as told:
        services.create_channel(
            organization=acme.organization, kind=kind, name="X", values=values, actor=acme.admin.user, now=NOW
        )  # fmt: skip
    assert told.value.fields == (field,)
    assert not Channel.objects.exists()


def test_tests_are_limited(acme: SimpleNamespace) -> None:
    channel = make(acme).channel
    now = timezone.now()
    for _ in range(5):
        services.test_channel(channel=channel, actor=acme.admin.user, now=now)
    with pytest.raises(DomainError) as told:
        services.test_channel(channel=channel, actor=acme.admin.user, now=now)
    assert told.value.status == 429
    assert Delivery.objects.count() == 5
