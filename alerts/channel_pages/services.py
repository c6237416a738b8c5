"""Channels: made, changed, switched, tested, deleted. What is secret goes in and never out."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from accounts.models import Organization, User
from accounts.services import clean_name, record_audit_event
from alerts import queueing
from alerts.channel_pages.values import read_values
from alerts.channels.registry import plugin_for
from alerts.channels.secrets import open_secret, seal_secret
from alerts.models import AlertChannel, Channel, Delivery, DeliveryAction, DeliveryState, Severity
from core import webhooks
from core.errors import ConflictError, DomainError
from core.ids import uuid7

MAX_CHANNELS = 100
MOST_TESTS, TESTS_WITHIN = 5, dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Saved:
    """A channel, and the secret that LLMLab made for it: shown now and never again."""

    channel: Channel
    shown: str = ""


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"There is a channel named {name!r} already; choose another name.", fields=["name"]
    )


def clean_severity(value: Any) -> str:
    """Raises DomainError."""
    if value not in Severity.values:
        allowed = ", ".join(Severity.values)
        raise DomainError(
            f"minimum_severity is {str(value)[:40]!r}; it must be one of {allowed}.",
            fields=["minimum_severity"],
        )
    return str(value)


def create_channel(
    *,
    organization: Organization | None,
    kind: str,
    name: str,
    values: Mapping[str, Any],
    actor: User,
    now: dt.datetime,
    minimum_severity: str = Severity.INFO,
) -> Saved:
    """A channel whose address may be called; without an organisation it tells the operators. Nothing is sent.

    Raises DomainError naming the field, ConflictError on a taken name.
    """
    plugin = plugin_for(kind)
    name = clean_name(name, limit=80)
    settings, secret = read_values(plugin, values)
    mine = Channel.objects.filter(organization=organization)
    if mine.count() >= MAX_CHANNELS:
        raise ConflictError(f"There are at most {MAX_CHANNELS} channels; delete one first.")
    identity = uuid7()
    try:
        with transaction.atomic():
            channel = Channel.objects.create(
                id=identity,
                organization=organization,
                kind=kind,
                name=name,
                secret=seal_secret(organization, identity, secret) if secret else b"",
                hint=plugin.hint(settings, secret),
                settings=settings,
                minimum_severity=clean_severity(minimum_severity),
                created_by=actor,
            )
            _audit(channel, actor, "created", kind=kind)
    except IntegrityError:
        raise _name_taken(name) from None
    return Saved(channel, secret.get(plugin.makes_secret, ""))


@transaction.atomic
def change_channel(
    *,
    channel: Channel,
    actor: User,
    now: dt.datetime,
    name: str | None = None,
    minimum_severity: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> Saved:
    """Another name, severity, setting or secret. A changed address needs the secrets again; one that LLMLab made is
    made anew. What was switched off by itself is on again once its access has changed.

    Raises DomainError naming the field, ConflictError on a taken name.
    """
    row = _locked(channel)
    changed: dict[str, Any] = {}
    if name is not None and (name := clean_name(name, limit=80)) != row.name:
        changed["name"], row.name = [row.name, name], name
    if minimum_severity is not None and clean_severity(minimum_severity) != row.minimum_severity:
        changed["minimum_severity"] = [row.minimum_severity, minimum_severity]
        row.minimum_severity = minimum_severity
    shown = ""
    if values is not None:
        shown = _change_access(row, values, changed, now)
    if changed:
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            raise _name_taken(row.name) from None
        _audit(row, actor, "changed", **changed)
    return Saved(row, shown)


def _change_access(
    row: Channel, values: Mapping[str, Any], changed: dict[str, Any], now: dt.datetime
) -> str:
    """Store other settings and secrets; the made secret when it is another one. Messages under way are sent again with
    them, whatever is answered to the access of before (alerts.outcomes)."""
    plugin = plugin_for(row.kind)
    before = open_secret(row)
    settings, secret = read_values(plugin, values, settings=row.settings, secret=before)
    names = {
        name
        for now_has, had in ((settings, row.settings), (secret, before))
        for name in {*now_has, *had}
        if now_has.get(name) != had.get(name)
    }
    if not names:
        return ""
    changed["access"] = sorted(names)
    row.settings, row.hint = settings, plugin.hint(settings, secret)
    row.secret = seal_secret(row.organization, row.pk, secret) if secret else b""
    if not row.is_enabled and row.disabled_reason:
        _switch_on(row)
        changed["enabled"] = True
    under_way = Delivery.objects.filter(channel=row, state=DeliveryState.SENDING)
    under_way.update(state=DeliveryState.WAITING, locked_until=None, next_attempt_at=now)
    made = secret.get(plugin.makes_secret, "")
    return made if made != before.get(plugin.makes_secret, "") else ""


@transaction.atomic
def rotate_secret(*, channel: Channel, actor: User, now: dt.datetime) -> Saved:
    """A new signing secret; the one before signs too for 24 hours. Raises ConflictError for kinds without one."""
    row = _locked(channel)
    if not plugin_for(row.kind).makes_secret:
        raise ConflictError(
            f"{row.get_kind_display()} has no secret of ours to rotate; change the channel instead."
        )
    secret = webhooks.rotated(open_secret(row), now)
    row.secret = seal_secret(row.organization, row.pk, secret)
    row.save(update_fields=["secret", "updated_at"])
    _audit(row, actor, "secret_rotated")
    return Saved(row, secret[webhooks.SIGNING])


@transaction.atomic
def enable_channel(*, channel: Channel, actor: User, now: dt.datetime) -> None:
    """Send to it again; what was given up meanwhile waits for a replay."""
    row = _locked(channel)
    if row.is_enabled:
        return
    _switch_on(row)
    row.save()
    _audit(row, actor, "enabled")


def _switch_on(row: Channel) -> None:
    row.is_enabled, row.disabled_at, row.disabled_reason = True, None, ""
    row.failing_since, row.failures, row.next_send_at = None, 0, None


@transaction.atomic
def disable_channel(*, channel: Channel, actor: User, now: dt.datetime) -> None:
    """Send nothing to it until it is switched on. Without a reason: a person did it, who is in the audit log."""
    row = _locked(channel)
    if not row.is_enabled:
        return
    row.is_enabled, row.disabled_at, row.disabled_reason = False, now, ""
    row.save(update_fields=["is_enabled", "disabled_at", "disabled_reason", "updated_at"])
    _audit(row, actor, "disabled")


@transaction.atomic
def delete_channel(*, channel: Channel, actor: User) -> None:
    """Forget it, its secret and its deliveries; rules keep their other channels."""
    row = _locked(channel)
    rules = AlertChannel.objects.filter(channel=row).values("alert_id").distinct().count()
    _audit(row, actor, "deleted", kind=row.kind, rules=rules)
    row.delete()


@transaction.atomic
def test_channel(*, channel: Channel, actor: User, now: dt.datetime) -> Delivery:
    """Queue a message that says it is a test. Raises DomainError 429 after five within a minute."""
    row = _locked(channel)
    since = Delivery.objects.filter(
        channel=row, action=DeliveryAction.TEST, created_at__gt=now - TESTS_WITHIN
    )
    if since.count() >= MOST_TESTS:
        raise DomainError(
            f"{MOST_TESTS} tests were sent within the last minute; wait for it to pass.",
            code="rate_limited", status=429,
        )  # fmt: skip
    _audit(row, actor, "tested")
    return queueing.queue_test(channel=row, actor=actor, now=now)


def _locked(channel: Channel) -> Channel:
    return (
        Channel.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(pk=channel.pk)
    )


def _audit(channel: Channel, actor: User, verb: str, **data: Any) -> None:
    """An operators' channel belongs to no organisation; the admin's own log holds its changes."""
    if channel.organization_id is None:
        return
    record_audit_event(
        organization_id=channel.organization_id,
        actor=actor,
        action=f"alerts.channel.{verb}",
        target=channel.name,
        data={"channel_id": str(channel.pk), **data},
    )
