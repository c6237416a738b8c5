"""What a message about an incident says: made once, stored with its deliveries, said again unchanged on every try.

Figures are written for nobody in particular: a message made while a person's request is answered must not carry that
person's separators and zone to everybody else.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from alerts import figures, phrases
from alerts.measures.base import Evidence, Reading
from alerts.measures.registry import measure_for
from alerts.models import (
    Alert,
    AlertEvent,
    Channel,
    CompareWith,
    DeliveryAction,
    Direction,
    EventState,
)
from alerts.notices import Notice
from alerts.phrases import Case
from core import formats
from core.errors import DomainError
from core.person_formats import ANYONE, reading_as

TYPES = {
    DeliveryAction.TRIGGER: "alert.fired",
    DeliveryAction.RAISE: "alert.raised",
    DeliveryAction.ACKNOWLEDGE: "alert.acknowledged",
    DeliveryAction.RESOLVE: "alert.resolved",
    DeliveryAction.REMIND: "alert.reminder",
    DeliveryAction.ESCALATE: "alert.escalated",
    DeliveryAction.GROUP: "alert.group",
    DeliveryAction.DIGEST: "alert.digest",
    DeliveryAction.TEST: "channel.test",
    DeliveryAction.NOTICE: "channel.notice",
}
MOST_POINTS = 60
MOST_ROWS = 10
MOST_CAUSES = 6
MOST_ITEMS = 50


def evidence_json(evidence: Evidence, reading: Reading) -> dict[str, Any]:
    """What to keep in `AlertEvent.evidence`: chart, table and causes, and the facts that words are made of."""
    facts = {
        "sample": reading.sample,
        "now_value": _text(reading.now_value),
        "before_value": _text(reading.before_value),
        **reading.facts,
    }
    return {
        "rows": [list(one) for one in evidence.rows],
        "points": [[formats.instant(one.at), _text(one.value)] for one in evidence.points],
        "causes": [
            {"dimension": one.dimension, "value": one.value, "words": one.words, "share": _text(one.share)}
            for one in evidence.causes
        ],
        "url": evidence.url,
        "url_label": evidence.url_label,
        "facts": facts,
    }  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else formats.plain_decimal(value)


def title_and_words(event: AlertEvent, alert: Alert | None = None) -> tuple[str, str]:
    """For a new or raised incident: set kind, name, subject, period, value, limit, unit and evidence first."""
    with reading_as(lambda: ANYONE):
        return phrases.told(case_of(event, alert or event.alert))


def case_of(event: AlertEvent, alert: Alert | None) -> Case:
    evidence: Mapping[str, Any] = event.evidence or {}
    return Case(
        kind=event.kind,
        name=event.name,
        value=event.value,
        limit=event.limit,
        unit=event.unit,
        subject=event.subject,
        period=event.period,
        is_below=bool(alert and alert.direction == Direction.BELOW),
        is_compared=bool(alert and alert.compare_with == CompareWith.BEFORE),
        own_unit=_own_unit(event.kind),
        window_minutes=alert.window_minutes if alert else 0,
        scope=scope_of(alert),
        percentile=alert.percentile if alert else None,
        score_name=alert.score_name if alert else "",
        facts=evidence.get("facts") or {},
    )


def _own_unit(kind: str) -> str:
    """The measure's unit, also where values are percent of the window before."""
    try:
        return measure_for(kind).unit
    except DomainError:
        return ""


def scope_of(alert: Alert | None) -> str:
    """Which calls a rule counts: `model gpt-5.5, environment production`; empty for all."""
    if alert is None:
        return ""
    names = (
        ("provider", alert.provider), ("model", alert.model), ("agent", alert.agent),
        ("environment", alert.environment), ("user", alert.user_id), ("tag", alert.tag),
    )  # fmt: skip
    return ", ".join(f"{label} {figures.short(value)}" for label, value in names if value)


def notice_of(event: AlertEvent, action: str, now: dt.datetime) -> Notice:
    """The message of `action` about an incident. Reads its rule, project and organisation when they are not loaded."""
    with reading_as(lambda: ANYONE):
        return _notice(event, action, now)


def _notice(event: AlertEvent, action: str, now: dt.datetime) -> Notice:
    alert, evidence = event.alert, event.evidence or {}
    case = case_of(event, alert)
    title, words = phrases.told(case)
    title, words = _by_action(event, action, now, event.title or title, event.words or words)
    counted = figures.COUNTED.get(event.kind, "")
    value, limit = figures.pair(event.value, event.limit, event.unit, counted)
    return Notice(
        type=TYPES[DeliveryAction(action)],
        title=figures.short(title, phrases.MOST_TITLE),
        words=words,
        severity=event.severity,
        state=_state(event, action),
        kind=event.kind,
        dedup_key=event.dedup_key,
        at=formats.instant(now),
        began_at=formats.instant(event.began_at),
        organization=event.organization.name if event.organization else "",
        project=event.project.name if event.project else "",
        scope=case.scope,
        rule_id=str(event.alert_id or ""),
        rule_name=event.name,
        event_id=str(event.pk),
        period=event.period,
        value=_text(event.value),
        limit=_text(event.limit),
        over=phrases.over(case),
        value_words=value,
        limit_words=limit if event.limit is not None else "",
        unit=event.unit,
        rows=_rows(event, case, now),
        causes=_causes(evidence),
        points=tuple((one[0], one[1]) for one in (evidence.get("points") or ())[-MOST_POINTS:]),
        note=alert.note if alert else "",
        links=_links(event, evidence, action),
    )


def _state(event: AlertEvent, action: str) -> str:
    """What receivers know: firing, acknowledged or resolved."""
    if action == DeliveryAction.RESOLVE or event.state == EventState.RESOLVED:
        return "resolved"
    acknowledged = action == DeliveryAction.ACKNOWLEDGE or event.state == EventState.ACKNOWLEDGED
    return "acknowledged" if acknowledged else "firing"


def _by_action(
    event: AlertEvent, action: str, now: dt.datetime, title: str, words: str
) -> tuple[str, str]:
    """The incident's own words, led by what is new about it."""
    since = f"since {clock(event.began_at)}, for {figures.lasted(event.began_at, now)}"
    match action:
        case DeliveryAction.RESOLVE:
            end = event.resolved_at or now
            reason = event.resolve_reason.rstrip(".") or "The value is back within its limit"
            ended = f"{reason}, after {figures.lasted(event.began_at, end)}. It began {clock(event.began_at)}."
            return f"Resolved: {title}", f"{ended} What had happened: {words}"
        case DeliveryAction.ACKNOWLEDGE:
            by = event.acknowledged_by
            who = figures.short(by.name or by.email) if by else "Somebody"
            return f"Acknowledged: {title}", f"{who} looks after it. {words}"
        case DeliveryAction.RAISE:
            return f"Raised to {event.severity}: {title}", words
        case DeliveryAction.REMIND:
            return f"Still firing: {title}", f"It has been firing {since}. {words}"
        case DeliveryAction.ESCALATE:
            said = f"It has been firing {since}, and nobody has acknowledged it. {words}"
            return f"Nobody has acknowledged: {title}", said
    return title, words


def clock(at: dt.datetime) -> str:
    """`2026-11-21 14:32 UTC`."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _rows(event: AlertEvent, case: Case, now: dt.datetime) -> tuple[tuple[str, str], ...]:
    """The small table: the measure's own rows, else value, limit and difference, amounts with every digit."""
    counted = figures.COUNTED.get(event.kind, "")
    given = [(str(one[0]), str(one[1])) for one in (event.evidence or {}).get("rows") or ()]
    if not given:
        given.append(("Value", figures.exact(event.value, event.unit, counted)))
        if event.limit is not None:
            given.append(("Limit", figures.exact(event.limit, event.unit, counted)))
        if much := phrases.over(case):
            given.append(("Difference", much))
    given = given[:MOST_ROWS]
    given.append(("Since", clock(event.began_at)))
    if event.period:
        given.append(("Period", event.period))
    return tuple(given)


def _causes(evidence: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (str(one.get("dimension", "")), str(one.get("value", "")), str(one.get("words", "")))
        for one in (evidence.get("causes") or ())[:MOST_CAUSES]
    )


def absolute(path: str) -> str:
    """A path of this LLMLab as an address that mail clients can open."""
    return path if "://" in path else settings.LLMLAB_BASE_URL.rstrip("/") + path


def _page(name: str, *arguments: Any) -> str:
    """A page's path; the start page where there is no such page."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return "/"


def event_url(event: AlertEvent, name: str = "event_detail") -> str:
    """A page of the incident; of the operators' own, which have no organisation, the admin's."""
    if event.organization is None:
        return absolute(_page("admin:alerts_operatorincident_change", event.pk))
    return absolute(reverse(f"alerts:{name}", args=[event.organization.slug, event.pk]))


def _links(
    event: AlertEvent, evidence: Mapping[str, Any], action: str
) -> tuple[tuple[str, str], ...]:
    links = [("Open the alert", event_url(event))]
    if url := evidence.get("url"):
        links.append((str(evidence.get("url_label") or "See the calls"), absolute(str(url))))
    if event.organization and _state(event, action) == "firing":
        links.append(("Acknowledge", event_url(event, "event_acknowledge")))
        links.append(("Snooze", event_url(event, "event_snooze")))
    return tuple(one for one in links if one[1])


def group_notice(
    events: Sequence[AlertEvent],
    *,
    severity: str,
    dedup_key: str,
    now: dt.datetime,
    action: str = DeliveryAction.TRIGGER,
) -> Notice:
    """One message about several incidents that began, or ended, together."""
    is_end = action == DeliveryAction.RESOLVE
    with reading_as(lambda: ANYONE):
        notices = [_notice(one, action, now) for one in events[:MOST_ITEMS]]
    first = events[0]
    names = ", ".join(figures.short(one.title, 60) for one in notices[:3])
    rest = len(events) - min(3, len(notices))
    organization = first.organization
    page = reverse("alerts:firing", args=[organization.slug]) if organization else reverse("admin:index")  # fmt: skip
    left = f" The other {len(events) - MOST_ITEMS} are on the page." if len(events) > MOST_ITEMS else ""  # fmt: skip
    return Notice(
        type=TYPES[DeliveryAction.GROUP],
        title=f"{len(events)} alerts {'ended' if is_end else 'fired'} together",
        words=f"{names}{f' and {rest} more' if rest > 0 else ''}.{left}",
        severity=severity,
        state="resolved" if is_end else "firing",
        dedup_key=dedup_key,
        at=formats.instant(now),
        began_at=formats.instant(min(one.began_at for one in events)),
        organization=organization.name if organization else "",
        links=(("Open the alerts", absolute(page)),),
        items=tuple((one.title, one.words, one.links[0][1] if one.links else "") for one in notices),
        extra={"events": [str(one.pk) for one in events]},
    )  # fmt: skip


def trial_notice(
    *, channel_name: str, organization: str, actor: str, alert: Alert | None, now: dt.datetime, words: str = "",
) -> Notice:  # fmt: skip
    """What `Send test` sends, about a rule (`words`: what it says and sees now) or about nothing."""
    about = f" of the rule {figures.short(alert.name)}" if alert else ""
    severity = str((alert.levels or [{}])[-1].get("severity") or "info") if alert else "info"
    return Notice(
        type=TYPES[DeliveryAction.TEST],
        title=f"Test{about}: {figures.short(channel_name)} is connected",
        words=f"{figures.short(actor)} asked LLMLab for this test{about}. Nothing is wrong: alerts for this channel"
        f" arrive here.{f' {words}' if words else ''}",
        severity=severity,
        kind=alert.kind if alert else "",
        at=formats.instant(now),
        organization=organization,
        scope=scope_of(alert),
        rule_id=str(alert.pk) if alert else "",
        rule_name=alert.name if alert else "",
        note=alert.note if alert else "",
        links=(_start_of(alert),),
    )  # fmt: skip


def _start_of(alert: Alert | None) -> tuple[str, str]:
    if alert is None:
        return "Open LLMLab", absolute("/")
    page = _page("alerts:rule_detail", alert.organization.slug, alert.pk)
    return "Open the rule", absolute(page)


def channel_notice(*, channel: Channel, title: str, words: str, now: dt.datetime) -> Notice:
    """What owners and admins are mailed when a channel no longer takes messages."""
    organization = channel.organization
    url = _page("admin:alerts_channel_change", channel.pk)
    if organization:
        url = _page("alerts:channel_detail", organization.slug, channel.pk)
    return Notice(
        type=TYPES[DeliveryAction.NOTICE],
        title=figures.short(title, phrases.MOST_TITLE),
        words=f"{words} Alerts do not reach {channel.name} ({channel.get_kind_display()}) until it is mended: look at"
        " its page, send a test, then switch it on and send again what was given up.",
        severity="error",
        at=formats.instant(now),
        organization=organization.name if organization else "",
        links=(("Open the channel", absolute(url)),),
    )  # fmt: skip


def with_extra(notice: Notice, **extra: Any) -> Notice:
    return dataclasses.replace(notice, extra={**notice.extra, **extra})
