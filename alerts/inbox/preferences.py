"""What one person wants to hear, checked and kept."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django.db import transaction

from accounts.models import Membership, User
from alerts.inbox.digest_times import next_slot, zone_of
from alerts.models import Digest, NotificationPreference, Severity
from core.errors import DomainError


@dataclass(frozen=True)
class PreferenceDraft:
    """What a person chooses."""

    inbox_severity: str = Severity.INFO.value
    has_browser: bool = False
    browser_severity: str = Severity.WARNING.value
    digest: str = Digest.NONE.value
    digest_hour: int = 8
    digest_weekday: int = 0


FIELDS = tuple(one.name for one in fields(PreferenceDraft))


def draft_of(preference: NotificationPreference) -> PreferenceDraft:
    return PreferenceDraft(**{name: getattr(preference, name) for name in FIELDS})


def read_draft(body: Mapping[str, Any], before: PreferenceDraft) -> PreferenceDraft:
    """`before` with what a JSON body names. Raises DomainError naming the field, its value and the rule."""
    unknown = sorted(str(name)[:80] for name in set(body) - set(FIELDS))
    if unknown:
        raise DomainError(
            f"{unknown[0]} is unknown; known are {', '.join(FIELDS)}.", fields=unknown
        )
    return check(
        PreferenceDraft(**{name: body.get(name, getattr(before, name)) for name in FIELDS})
    )


def check(draft: PreferenceDraft) -> PreferenceDraft:
    """The draft, when it may be kept. Raises DomainError."""
    severities, digests = ", ".join(Severity.values), ", ".join(Digest.values)
    rules: tuple[tuple[str, bool, str], ...] = (
        ("inbox_severity", _one_of(draft.inbox_severity, Severity.values), f"one of {severities}"),
        ("has_browser", isinstance(draft.has_browser, bool), "true or false"),
        ("browser_severity", _one_of(draft.browser_severity, Severity.values), f"one of {severities}"),
        ("digest", _one_of(draft.digest, Digest.values), f"one of {digests}"),
        ("digest_hour", _within(draft.digest_hour, 23), "an hour from 0 to 23"),
        ("digest_weekday", _within(draft.digest_weekday, 6), "0 (Monday) to 6 (Sunday)"),
    )  # fmt: skip
    for name, is_right, rule in rules:
        if not is_right:
            shown = str(getattr(draft, name))[:40]
            raise DomainError(f"{name} is {shown!r}; it must be {rule}.", fields=[name])
    return draft


def replace_digest(draft: PreferenceDraft, digest: str) -> PreferenceDraft:
    return replace(draft, digest=digest)


def _one_of(value: Any, allowed: list[str]) -> bool:
    return isinstance(value, str) and value in allowed


def _within(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


@transaction.atomic
def save_preference(
    *, membership: Membership, user: User, draft: PreferenceDraft, now: dt.datetime
) -> NotificationPreference:
    """Keep it, with the next digest by the person's zone. Raises DomainError."""
    check(draft)
    rows = NotificationPreference.objects.select_for_update()
    preference, _ = rows.get_or_create(user=user, organization_id=membership.organization_id)
    for name in FIELDS:
        setattr(preference, name, getattr(draft, name))
    preference.digest_next_at = next_slot(
        draft.digest,
        hour=draft.digest_hour,
        weekday=draft.digest_weekday,
        zone=zone_of(user.time_zone),
        after=now,
    )
    preference.save()
    return preference


def stop_digest(preference: NotificationPreference) -> None:
    """No more digests: the link in an e-mail. What else the person chose stays."""
    NotificationPreference.objects.filter(pk=preference.pk).update(
        digest=Digest.NONE, digest_next_at=None
    )
    preference.digest, preference.digest_next_at = Digest.NONE.value, None
