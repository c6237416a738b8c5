"""A digest as a notice, for the e-mail that alerts.channels.mails makes of it: figures as the reader wants them."""

import datetime as dt
from collections.abc import Sequence

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.middleware import reader_for
from accounts.models import Organization, User
from alerts.inbox.digest_facts import Facts, Listed, Unsent
from alerts.inbox.digest_times import zone_of
from alerts.models import (
    SEVERITY_RANK,
    AlertEvent,
    Digest,
    EventState,
    NotificationPreference,
    Severity,
)
from alerts.notices import Notice
from core import formats
from core.person_formats import reading_as
from costs.budgets.periods import period_words
from costs.budgets.selectors import Standing

SALT = "alerts.inbox.unsubscribe"
TITLES = {Digest.DAILY: "Daily digest", Digest.WEEKLY: "Weekly digest"}
MOST_BUDGETS = 10
Item = tuple[str, str, str]


def token_of(preference: NotificationPreference) -> str:
    return signing.Signer(salt=SALT).sign(preference.pk.hex)


def preference_behind(token: str) -> NotificationPreference | None:
    """Whose digest a link of an e-mail is about; None for one that was not given out. One query."""
    try:
        pk = signing.Signer(salt=SALT).unsign(token[:200])
    except signing.BadSignature:
        return None
    rows = NotificationPreference.objects.select_related("user", "organization")
    return rows.filter(pk=pk).first()


def notice_of(
    preference: NotificationPreference,
    *,
    user: User,
    organization: Organization,
    facts: Facts,
    kind: str,
    now: dt.datetime,
) -> Notice:
    """No query."""
    with reading_as(lambda: reader_for(user)):
        unsubscribe = absolute(reverse("alerts:digest_unsubscribe", args=[token_of(preference)]))
        chosen = absolute(reverse("alerts:preferences", args=[organization.slug]))
        return Notice(
            type="alert.digest",
            title=f"{TITLES[Digest(kind)]}: {_headline(facts)}",
            words=_words(facts, zone_of(user.time_zone)),
            severity=_worst(facts),
            at=formats.instant(now),
            organization=organization.name,
            rows=_rows(facts),
            links=(
                ("Open alerts", absolute(reverse("alerts:firing", args=[organization.slug]))),
                ("History", absolute(reverse("alerts:history", args=[organization.slug]))),
                ("Change what you are sent", chosen),
            ),
            extra={
                "sections": [
                    {"title": title, "items": items}
                    for title, items in _sections(facts, organization.slug, now)
                    if items
                ],
                "unsubscribe": unsubscribe,
                "why": f"You asked LLMLab for this digest of {organization.name}.",
            },
        )


def absolute(path: str) -> str:
    return f"{settings.LLMLAB_BASE_URL}{path}"


def _headline(facts: Facts) -> str:
    if facts.is_quiet:
        return "all quiet"
    told = [
        _number(facts.fired.number, "alert fired", "alerts fired"),
        f"{facts.open.number} open" if facts.open.number else "",
        "" if facts.fired.number or not facts.resolved.number else f"{facts.resolved.number} resolved",
        _number(sum(one.number for one in facts.unsent), "message undelivered", "messages undelivered"),
    ]  # fmt: skip
    shown = ", ".join(one for one in told if one)
    return shown or _number(len(facts.strained), "budget to look at", "budgets to look at")


def _number(number: int, one: str, many: str) -> str:
    return f"{formats.count(number)} {one if number == 1 else many}" if number else ""


def _words(facts: Facts, zone: dt.tzinfo) -> str:
    span = f"{_minute(facts.start, zone)} to {_minute(facts.end, zone)} ({zone})."
    if not facts.is_quiet:
        return span
    return f"{span} Nothing fired, nothing is open, no budget has reached a threshold, and every message arrived."


def _minute(at: dt.datetime, zone: dt.tzinfo) -> str:
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"


def _worst(facts: Facts) -> str:
    events = [*facts.open.events, *facts.fired.events]
    found = [one.severity for one in events]
    return max(found, key=SEVERITY_RANK.__getitem__, default=Severity.INFO.value)


def _rows(facts: Facts) -> list[tuple[str, str]]:
    rows = [
        ("Fired", formats.count(facts.fired.number)),
        ("Open now", formats.count(facts.open.number)),
        ("Resolved", formats.count(facts.resolved.number)),
        ("Spend", _spend(facts)),
    ]
    if facts.spent.unpriced_calls:
        rows.append(
            ("Unpriced calls", f"{formats.count(facts.spent.unpriced_calls)}, in no amount")
        )
    return rows


def _spend(facts: Facts) -> str:
    spent, before = facts.spent, facts.spent_before
    if not spent.calls and not before.calls:
        return "no calls"
    change = formats.delta(spent.cost_usd, before.cost_usd, base_calls=before.calls).words
    known = (
        f"{formats.money(spent.cost_usd)} in {_number(spent.calls, 'call', 'calls') or 'no calls'}"
    )
    return f"{known}; {change} ({formats.money(before.cost_usd)} in the period before)"


def _sections(facts: Facts, slug: str, now: dt.datetime) -> list[tuple[str, list[Item]]]:
    history = absolute(reverse("alerts:history", args=[slug]))
    firing = absolute(reverse("alerts:firing", args=[slug]))
    return [
        ("Open now", _events(facts.open, slug, now, firing)),
        ("Fired", _events(facts.fired, slug, now, history)),
        ("Resolved", _events(facts.resolved, slug, now, history)),
        ("Budgets", _budgets(facts.budgets, slug)),
        ("Messages that did not arrive", [_unsent(one, slug) for one in facts.unsent]),
    ]


def _events(listed: Listed, slug: str, now: dt.datetime, page: str) -> list[Item]:
    items = [_event(one, slug, now) for one in listed.events]
    if rest := listed.number - len(items):
        items.append((f"{formats.count(rest)} more", "on the page", page))
    return items


def _event(event: AlertEvent, slug: str, now: dt.datetime) -> Item:
    parts = [
        Severity(event.severity).label,
        event.project.name if event.project else "",
        formats.day_time(event.fired_at, now),
        EventState(event.state).label.lower(),
        "" if event.told_at else "nobody was told at the time",
    ]
    url = reverse("alerts:event_detail", kwargs={"slug": slug, "event_id": event.pk})
    return event.title, " · ".join(one for one in parts if one), absolute(url)


def _budgets(found: Sequence[Standing], slug: str) -> list[Item]:
    items = [_budget(one, slug) for one in found[:MOST_BUDGETS]]
    if rest := len(found) - len(items):
        page = absolute(reverse("costs:budget_list", args=[slug]))
        items.append((f"{formats.count(rest)} more", "on the page", page))
    return items


def _budget(one: Standing, slug: str) -> Item:
    words = (
        f"{formats.money(one.spent_usd)} of {formats.money(one.limit_usd)} {period_words(one.budget)},"
        f" {formats.percent(one.share)}"
    )
    if one.unpriced_calls:
        words += f", and {_number(one.unpriced_calls, 'unpriced call', 'unpriced calls')}"
    url = reverse("costs:budget_detail", kwargs={"slug": slug, "budget_id": one.budget.pk})
    return one.budget.name, words, absolute(url)


def _unsent(one: Unsent, slug: str) -> Item:
    why = f": {one.error}" if one.error else ""
    page = absolute(reverse("alerts:channel_list", args=[slug]))
    return one.name, f"{_number(one.number, 'message', 'messages')}{why}", page
