"""Writing rules. Each change is audited; a rule that stops watching closes its open incidents (alerts.acting)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from alerts.acting import close_rule, mute
from alerts.models import Alert, AlertChannel
from alerts.rules.drafts import WATCHES, RuleDraft
from alerts.rules.reading import invalid
from alerts.rules.timing import SPANS
from alerts.rules.words import condition_words, scope_words
from core.errors import ConflictError, NotFoundError
from core.formats import plain_decimal

MAX_RULES = 1000
_FIELDS = (
    "name", "project", "levels", "environment", "provider", "model", "agent", "user_id", "tag", "budget",
    "score_name", "percentile", "direction", "compare_with", "window_minutes", "minimum_sample",
    "pending_minutes", "recover_margin", "recover_minutes", "on_no_data", "escalate_minutes", "remind_hours",
    "note", "is_enabled",
)  # fmt: skip
_LISTS = ("channels", "escalation_channels")


class NameTakenError(ConflictError):
    """Another rule of the organisation is called the same."""

    code = "alert_name_taken"


@dataclass(frozen=True)
class By:
    """Who changes a rule: a person, or a program by its API key (`label`)."""

    user: User | None = None
    label: str = ""


def create_rule(*, draft: RuleDraft, by: By, now: dt.datetime) -> Alert:
    """Save a new rule. Raises NameTakenError, ConflictError at MAX_RULES."""
    alert = Alert(organization_id=draft.organization_id, kind=draft.kind, author=by.user)
    _take(alert, draft)
    with transaction.atomic():
        # One writer of an organisation's rules at a time, so that MAX_RULES holds.
        Organization.objects.select_for_update().get(pk=draft.organization_id)
        if Alert.objects.filter(organization_id=draft.organization_id).count() >= MAX_RULES:
            raise ConflictError(
                f"The organisation has {MAX_RULES} alert rules, the most there can be. Delete some first."
            )
        _save(alert)
        _set_channels(alert, draft)
        _audit(alert, by, "alerts.alert.created")
    return alert


@transaction.atomic
def change_rule(
    *, organization_id: UUID, rule_id: UUID, draft: RuleDraft, by: By, now: dt.datetime
) -> Alert:
    """Replace what a rule says; nothing is written when it says the same. One that watches something else than
    before closes its incidents. Raises NotFoundError, NameTakenError, InvalidRuleError for another kind."""
    alert = locked(organization_id, rule_id)
    if alert.kind != draft.kind:
        raise invalid("kind", draft.kind, f"{alert.kind}: a rule keeps its kind, make another one")
    before = {name: getattr(alert, name) for name in _FIELDS} | _channels_of(alert)
    _take(alert, draft)
    after = {name: getattr(alert, name) for name in _FIELDS} | {
        name: sorted(getattr(draft, name)) for name in _LISTS
    }
    changed = [name for name in before if after[name] != before[name]]
    if not changed:
        return alert
    if set(changed) & set(WATCHES) or (before["is_enabled"] and not alert.is_enabled):
        reason = "The rule was changed." if alert.is_enabled else "The rule was switched off."
        close_rule(alert=alert, reason=reason, actor=by.user, now=now)
    _save(alert)
    if set(changed) & set(_LISTS):
        _set_channels(alert, draft)
    _audit(
        alert, by, "alerts.alert.changed", before={name: _plain(before[name]) for name in changed}
    )
    return alert


@transaction.atomic
def enable_rule(
    *, organization_id: UUID, rule_id: UUID, is_enabled: bool, by: By, now: dt.datetime
) -> Alert:
    """Switch a rule on or off; asking twice changes nothing. Off, its open incidents end. Raises NotFoundError."""
    alert = locked(organization_id, rule_id)
    if alert.is_enabled == is_enabled:
        return alert
    alert.is_enabled = is_enabled
    alert.save(update_fields=["is_enabled", "updated_at"])
    if not is_enabled:
        close_rule(alert=alert, reason="The rule was switched off.", actor=by.user, now=now)
    _audit(alert, by, "alerts.alert.enabled" if is_enabled else "alerts.alert.disabled")
    return alert


def mute_rule(
    *, organization_id: UUID, rule_id: UUID, until: dt.datetime | None, actor: User, now: dt.datetime
) -> Alert:  # fmt: skip
    """Tell nobody of a rule until an instant; None: tell again. Asking twice changes nothing. Raises NotFoundError."""
    with transaction.atomic():
        alert = locked(organization_id, rule_id)
        if alert.muted_until != until:
            mute(alert=alert, until=until, actor=actor, now=now)
            alert.muted_until = until
    return alert


@transaction.atomic
def delete_rule(*, organization_id: UUID, rule_id: UUID, by: By, now: dt.datetime) -> None:
    """Remove a rule. Its incidents stay in the history; open ones end. Raises NotFoundError."""
    alert = locked(organization_id, rule_id)
    close_rule(alert=alert, reason="The rule was deleted.", actor=by.user, now=now)
    _audit(alert, by, "alerts.alert.deleted")
    alert.delete()


@transaction.atomic
def change_several(
    *, organization_id: UUID, rule_ids: Sequence[UUID], action: str, actor: User, now: dt.datetime
) -> None:
    """enable, disable, mute-1h, mute-1d or unmute some rules: all or none. Raises NotFoundError."""
    word, _, span = action.partition("-")
    # In one order, so that two people who select the same rules do not wait for each other.
    for rule_id in sorted(rule_ids):
        if word in ("enable", "disable"):
            enable_rule(
                organization_id=organization_id, rule_id=rule_id, is_enabled=word == "enable",
                by=By(actor), now=now,
            )  # fmt: skip
            continue
        until = now + SPANS[span] if span else None
        mute_rule(
            organization_id=organization_id, rule_id=rule_id, until=until, actor=actor, now=now
        )


def free_name(organization_id: UUID, name: str) -> str:
    """`name`, or `name 2`, `name 3` … where that is taken. One query."""
    stem = name[:110]
    taken = {
        one.lower()
        for one in Alert.objects.filter(
            organization_id=organization_id, name__istartswith=stem
        ).values_list("name", flat=True)
    }
    found, number = name[:120], 2
    while found.lower() in taken:
        found, number = f"{stem} {number}", number + 1
    return found


def locked(organization_id: UUID, rule_id: UUID) -> Alert:
    """The rule, its row locked. Raises NotFoundError."""
    found = (
        Alert.objects.select_for_update(of=("self",), no_key=True)
        .select_related("project", "organization", "budget")
        .filter(organization_id=organization_id, pk=rule_id)
        .first()
    )
    if found is None:
        raise NotFoundError("There is no such alert rule, or it was deleted.")
    return found


def _take(alert: Alert, draft: RuleDraft) -> None:
    for name in _FIELDS:
        setattr(alert, name, getattr(draft, name))


def _save(alert: Alert) -> None:
    """Raises NameTakenError."""
    try:
        with transaction.atomic():
            alert.save()
    except IntegrityError as error:
        if "alerts_alert_name" not in str(error):
            raise
        raise NameTakenError(
            f"There is an alert rule called {alert.name!r}. Choose another name.", fields=["name"]
        ) from None


def _channels_of(alert: Alert) -> dict[str, list[UUID]]:
    found: dict[str, list[UUID]] = {name: [] for name in _LISTS}
    for one in AlertChannel.objects.filter(alert=alert):
        found[_LISTS[one.is_escalation]].append(one.channel_id)
    return {name: sorted(ids) for name, ids in found.items()}


def _set_channels(alert: Alert, draft: RuleDraft) -> None:
    AlertChannel.objects.filter(alert=alert).delete()
    AlertChannel.objects.bulk_create(
        AlertChannel(alert=alert, channel_id=uid, is_escalation=is_escalation)
        for ids, is_escalation in ((draft.channels, False), (draft.escalation_channels, True))
        for uid in ids
    )


def _plain(value: Any) -> Any:
    """A field as JSON keeps it."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (str, bool, int, dict)):
        return value
    return plain_decimal(value) if hasattr(value, "quantize") else str(value)


def _audit(alert: Alert, by: By, action: str, **more: Any) -> None:
    record_audit_event(
        organization_id=alert.organization_id,
        actor=by.user,
        actor_label=by.label,
        action=action,
        target=alert.name,
        data={
            "alert": str(alert.pk),
            "kind": alert.kind,
            "watches": scope_words(alert),
            "condition": condition_words(alert),
            "is_enabled": alert.is_enabled,
            "muted_until": alert.muted_until.isoformat() if alert.muted_until else None,
            **more,
        },
    )
