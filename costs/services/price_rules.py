"""Writing an organisation's price rules: each change is one transaction that every writer of its projects notices."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import ConflictError, NotFoundError
from core.formats import plain_decimal
from costs.models import PriceBook, PriceRule
from costs.rule_drafts import RuleDraft, clash
from costs.selectors.price_rules import days_text

MAX_RULES = 500
# Projects without data get a row as well (version 0 still says "nothing was ever recorded"), so that their first
# writer and a change of rules meet on one row.
_TELL_PROJECTS = """
INSERT INTO costs_projectusage AS u (project_id, version, last_activity_at, rules_version)
SELECT p.id, 0, NULL, %s FROM projects_project p WHERE p.organization_id = %s
ON CONFLICT (project_id) DO UPDATE SET rules_version = excluded.rules_version,
  version = CASE WHEN u.version > 0 THEN u.version + 1 ELSE 0 END
"""


class OverlapError(ConflictError):
    """Another rule says something else about the same calls on the same days."""

    code = "price_rules_overlap"


@transaction.atomic
def add_rule(
    *, organization_id: UUID, draft: RuleDraft, author: User | None, now: dt.datetime
) -> PriceRule:
    """Save a rule and tell every writer. Raises OverlapError naming the other rule, ConflictError at MAX_RULES."""
    book = _open_book(organization_id)
    rule = _insert(book, draft, author)
    _close_book(book)
    _audit(rule, author, "prices.rule.added")
    return rule


@transaction.atomic
def replace_rule(
    *, organization_id: UUID, number: int, draft: RuleDraft, author: User | None, now: dt.datetime
) -> PriceRule:
    """Remove rule `number` and save its successor, in one step. Raises NotFoundError when it is gone."""
    book = _open_book(organization_id)
    old = _current(organization_id, number)
    _remove(old, author, now)
    rule = _insert(book, draft, author, replaces=old)
    _close_book(book)
    _audit(rule, author, "prices.rule.replaced", replaces=old.number)
    return rule


@transaction.atomic
def remove_rule(
    *, organization_id: UUID, number: int, author: User | None, now: dt.datetime
) -> PriceRule:
    """Take rule `number` out of force; its row stays as history. Raises NotFoundError when it is gone."""
    book = _open_book(organization_id)
    rule = _current(organization_id, number)
    _remove(rule, author, now)
    _close_book(book)
    _audit(rule, author, "prices.rule.removed")
    return rule


def check_overlap(draft: RuleDraft, rules: Iterable[PriceRule], *, but: int | None = None) -> None:
    """Raises OverlapError when one of `rules` (not number `but`) could tie with the draft for a call."""
    for other in rules:
        if other.number != but and clash(draft, other):
            raise OverlapError(
                f"{other.get_kind_display()} #{other.number} ({describe(other)}) is as narrow as this one and they"
                " share calls and days. End that rule the day before this one begins, or name the provider, the model"
                " or the service tier more closely.",
                fields=["model", "valid_from", "valid_to"],
            )


def describe(rule: PriceRule | RuleDraft) -> str:
    """A rule's reach in words: provider, model, tier, days."""
    parts = [rule.provider or "any provider", rule.pattern]
    if rule.service_tier:
        parts.append(rule.service_tier)
    return f"{' · '.join(parts)}, {days_text(rule)}"


def _open_book(organization_id: UUID) -> PriceBook:
    """One change of rules at a time; no project of the organisation can be made meanwhile (its foreign key waits)."""
    Organization.objects.select_for_update().get(pk=organization_id)
    return PriceBook.objects.get_or_create(organization_id=organization_id)[0]


def _close_book(book: PriceBook) -> None:
    """Raise the version here and in each project. Waits for writers that are about to commit; later ones see it."""
    book.version += 1
    book.save()
    with connection.cursor() as cursor:
        cursor.execute(_TELL_PROJECTS, [book.version, book.organization_id])


def _current(organization_id: UUID, number: int) -> PriceRule:
    rule = PriceRule.objects.filter(
        organization_id=organization_id, number=number, removed_at=None
    ).first()
    if rule is None:
        raise NotFoundError(f"There is no price rule #{number}, or it was removed.")
    return rule


def _insert(
    book: PriceBook, draft: RuleDraft, author: User | None, *, replaces: PriceRule | None = None
) -> PriceRule:
    rules = list(PriceRule.objects.filter(organization_id=book.organization_id, removed_at=None))
    if len(rules) >= MAX_RULES:
        raise ConflictError(
            f"The organisation has {MAX_RULES} price rules, the most there can be. Remove ones that ended, or use a"
            " pattern for several models."
        )
    check_overlap(draft, rules)
    book.last_number += 1
    return PriceRule.objects.create(
        organization_id=book.organization_id,
        number=book.last_number,
        kind=draft.kind,
        provider=draft.provider,
        pattern=draft.pattern,
        service_tier=draft.service_tier,
        prices=draft.prices,
        factor=draft.factor,
        valid_from=draft.valid_from,
        valid_to=draft.valid_to,
        note=draft.note,
        author=author,
        replaces=replaces,
    )


def _remove(rule: PriceRule, author: User | None, now: dt.datetime) -> None:
    rule.removed_at, rule.removed_by = now, author
    rule.save(update_fields=["removed_at", "removed_by", "updated_at"])


def _audit(rule: PriceRule, author: User | None, action: str, **more: object) -> None:
    record_audit_event(
        organization_id=rule.organization_id,
        actor=author,
        action=action,
        target=f"{rule.kind} #{rule.number}",
        data={
            "rule": describe(rule),
            "prices": {line["class"]: line["price_usd"] for line in rule.prices},
            "factor": None if rule.factor is None else plain_decimal(Decimal(rule.factor)),
            "note": rule.note[:200],
            **more,
        },
    )
