"""Whose calls a provider's sub-account or key carries: a project's, or nobody's here."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Sum

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import DomainError
from costs import signals
from costs.models import BilledCost, BilledUsage, BillingAccount, BillingMapping
from projects.access import parse_uuid
from projects.models import Project

OUTSIDE = "outside"
DAYS = 90
MAX_ROWS = 2_000
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """Where a line belongs. Neither: nothing is said."""

    project_id: UUID | None = None
    is_outside: bool = False


class Matcher:
    """An organisation's mappings, read once: the key's own goes before its sub-account's."""

    def __init__(self, rows: Sequence[BillingMapping]) -> None:
        self._rows = {
            (row.account_id, row.sub_account_id, row.provider_key_id): Place(
                row.project_id, row.is_outside
            )
            for row in rows
        }

    def place_of(self, account_id: UUID, sub_account_id: str, key_id: str) -> Place:
        """A line's place by its key, else its key in any sub-account, else its sub-account."""
        for sub, key in ((sub_account_id, key_id), ("", key_id), (sub_account_id, "")):
            if (sub or key) and (found := self._rows.get((account_id, sub, key))):
                return found
        return Place()


def matcher(organization_id: UUID) -> Matcher:
    """One query."""
    return Matcher(list(BillingMapping.objects.filter(account__organization_id=organization_id)))


@dataclass(frozen=True)
class Row:
    """A sub-account (`key_id` empty) or a key the bill has named, and where it belongs."""

    sub_account_id: str
    sub_account_name: str
    key_id: str
    key_name: str
    usd: Decimal | None
    last_day: dt.date | None
    target: str

    @property
    def name(self) -> str:
        """What people know it by."""
        if self.key_id:
            return self.key_name or self.key_id
        return self.sub_account_name or self.sub_account_id


def rows_of(account: BillingAccount, *, now: dt.datetime) -> list[Row]:
    """Every sub-account and key the last ninety days named, most expensive first, and whatever is mapped. Three
    queries."""
    since = now.date() - DAY * DAYS
    names = ("sub_account_id", "provider_key_id")
    spent = (
        BilledCost.objects.filter(account=account, day__gte=since)
        .values(*names)
        .annotate(
            usd=Sum("amount_usd"),
            last=Max("day"),
            sub_name=Max("sub_account_name"),
            key_name=Max("provider_key_name"),
        )
    )
    used = (
        BilledUsage.objects.filter(account=account, day__gte=since)
        .values(*names)
        .annotate(
            last=Max("day"), sub_name=Max("sub_account_name"), key_name=Max("provider_key_name")
        )
    )
    targets = {
        (one.sub_account_id, one.provider_key_id): OUTSIDE
        if one.is_outside
        else str(one.project_id)
        for one in account.mappings.all()
    }
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (*spent[:MAX_ROWS], *used[:MAX_ROWS]):
        for pair in {(row["sub_account_id"], ""), (row["sub_account_id"], row["provider_key_id"])}:
            if any(pair):
                _add(found.setdefault(pair, {}), row)
    for pair in targets:
        found.setdefault(pair, {})
    rows = [
        Row(
            sub, one.get("sub_name", ""), key, one.get("key_name", "") if key else "",
            one.get("usd"), one.get("last"), targets.get((sub, key), ""),
        )
        for (sub, key), one in found.items()
    ]  # fmt: skip
    by_sub: dict[str, Decimal] = {}
    for row in rows:
        if not row.key_id:
            by_sub[row.sub_account_id] = row.usd or Decimal(0)
    return sorted(
        rows,
        key=lambda row: (
            -by_sub.get(row.sub_account_id, Decimal(0)), row.sub_account_id, bool(row.key_id),
            -(row.usd or Decimal(0)), row.key_id,
        ),
    )  # fmt: skip


def _add(one: dict[str, Any], row: dict[str, Any]) -> None:
    if row.get("usd") is not None:
        one["usd"] = one.get("usd", Decimal(0)) + row["usd"]
    one["last"] = max(one.get("last", row["last"]), row["last"])
    one["sub_name"] = row["sub_name"] or one.get("sub_name", "")
    one["key_name"] = row["key_name"] or one.get("key_name", "")


def clean_target(organization_id: UUID, text: Any) -> Place | None:
    """A project's id, `outside`, or nothing. One query for a project. Raises DomainError."""
    if text in ("", None):
        return None
    if text == OUTSIDE:
        return Place(is_outside=True)
    pk = parse_uuid(str(text))
    projects = Project.objects.filter(organization_id=organization_id).exclude(
        status=Project.Status.DELETING
    )
    if pk is None or not projects.filter(pk=pk).exists():
        raise DomainError(
            f"target is {str(text)[:40]!r}; it must be the id of a project of this organisation, 'outside', or empty.",
            fields=["target"],
        )
    return Place(project_id=pk)


@transaction.atomic
def set_mappings(
    *,
    account: BillingAccount,
    entries: Sequence[tuple[str, str, Any]],
    actor: User,
    now: dt.datetime,
) -> int:
    """Say of each (sub-account, key) where it belongs (`clean_target`); the others stay. How many changed. Raises
    DomainError."""
    if len(entries) > MAX_ROWS:
        raise DomainError(
            f"At most {MAX_ROWS:,} mappings can be set at a time.", fields=["mappings"]
        )
    BillingAccount.objects.select_for_update().get(pk=account.pk)
    before = {(m.sub_account_id, m.provider_key_id): m for m in account.mappings.all()}
    places: dict[Any, Place | None] = {}
    changed: list[dict[str, str]] = []
    for sub, key, target in entries:
        _check_names(sub, key)
        if target not in places:
            places[target] = clean_target(account.organization_id, target)
        place, old = places[target], before.get((sub, key))
        if (
            old
            and place
            and (old.project_id, old.is_outside) == (place.project_id, place.is_outside)
        ):
            continue
        if old is None and place is None:
            continue
        changed.append({"sub_account": sub, "key": key, "target": str(target or "")})
        if place is None:
            account.mappings.filter(sub_account_id=sub, provider_key_id=key).delete()
            continue
        BillingMapping.objects.update_or_create(
            account=account,
            sub_account_id=sub,
            provider_key_id=key,
            defaults={"project_id": place.project_id, "is_outside": place.is_outside},
        )
    if changed:
        _record(account, actor, changed, now)
    return len(changed)


def _check_names(sub: str, key: str) -> None:
    if not (sub or key):
        raise DomainError(
            "A mapping names a sub_account, a key, or both.", fields=["sub_account", "key"]
        )
    for name, value, longest in (("sub_account", sub, 300), ("key", key, 200)):
        if len(value) > longest or "\x00" in value:
            raise DomainError(f"{name} has at most {longest} characters and no NUL.", fields=[name])


def _record(
    account: BillingAccount, actor: User, changed: list[dict[str, str]], now: dt.datetime
) -> None:
    record_audit_event(
        organization_id=account.organization_id,
        actor=actor,
        action="billing.mapping.changed",
        target=str(account.connection),
        data={"connection_id": str(account.connection_id), "changes": changed[:100]},
    )
    since = account.history_from or now.date()
    signals.sync_finished.send(
        sender=BillingAccount,
        organization_id=account.organization_id,
        account_id=account.pk,
        first_day=since,
        end_day=now.date() + DAY,
        now=now,
    )
