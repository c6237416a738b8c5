"""PagerDuty Events API v2: one incident there per incident here, by the same dedup key."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as conf

from alerts.channels import words
from alerts.channels.base import Message, Permanent, Secret, Sent, Settings
from alerts.channels.door import Door, failed
from alerts.channels.redaction import answer_of, tail
from alerts.models import DeliveryAction
from alerts.notices import Notice
from core.access_fields import Field
from core.errors import DomainError
from core.http import Reply

HOSTS = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
OTHER = "other"
PATH = "/v2/enqueue"
EVENTS = {DeliveryAction.ACKNOWLEDGE: "acknowledge", DeliveryAction.RESOLVE: "resolve"}
SEVERITIES = frozenset({"critical", "error", "warning", "info"})
# It says no time when it throttles, and wants some minutes of rest.
THROTTLED_S = 120.0
SUMMARY, DEDUP, MOST_LINKS, MOST_BYTES = 1_024, 255, 10, 400_000


def event_of(message: Message, routing_key: str, action: str) -> dict[str, Any]:
    """The event's JSON; acknowledge and resolve need no more than the key."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": message.dedup_key[:DEDUP],
    }
    if action != "trigger":
        return event
    notice = message.notice
    source = urlsplit(conf.LLMLAB_BASE_URL).hostname or "llmlab"
    payload = {
        "summary": words.one_line(notice.title or notice.words, SUMMARY) or "LLMLab alert",
        "source": source,
        "severity": notice.severity if notice.severity in SEVERITIES else "error",
        "component": notice.kind,
        "group": notice.project or notice.organization,
        "class": notice.type,
        "custom_details": details_of(notice),
    }
    if notice.began_at or notice.at:
        payload["timestamp"] = notice.began_at or notice.at
    event |= {"client": "LLMLab", "payload": {name: one for name, one in payload.items() if one}}
    if notice.links:
        event["client_url"] = notice.links[0][1]
        event["links"] = [
            {"href": url, "text": words.one_line(label, 100)}
            for label, url in notice.links[:MOST_LINKS]
        ]
    return event


def details_of(notice: Notice) -> dict[str, Any]:
    """What the incident shows below its summary."""
    details: dict[str, Any] = {"what happened": words.cut(notice.words, 4_000)}
    details |= {
        words.one_line(label, 100): words.cut(figure, 500) for label, figure in notice.rows[:30]
    }
    named = {
        "value": notice.value_words or notice.value,
        "limit": notice.limit_words or notice.limit,
        "over": notice.over,
        "since": notice.began_at,
        "rule": notice.rule_name,
        "scope": notice.scope,
        "period": notice.period,
        "course": words.sparkline(notice.points),
        "what to do": words.cut(notice.note, 4_000),
    }
    details |= {name: value for name, value in named.items() if value}
    if notice.causes:
        details["top causes"] = [
            words.one_line(" ".join(cause), 300) for cause in notice.causes[:10]
        ]
    return details


@dataclass(frozen=True)
class PagerDutyPlugin:
    """One integration (service or event orchestration)."""

    door: Door = field(default_factory=Door)
    kind = "pagerduty"
    label = "PagerDuty"
    help = "Opens, acknowledges and resolves one incident per alert through an Events API v2 integration."
    fields = (
        Field(
            "region", "Service region", "Where your PagerDuty account lives; its address in the browser says so.",
            choices=(("us", "United States"), ("eu", "Europe"), (OTHER, "Another address")), default="us",
        ),
        Field(
            "base_url", "Another address",
            "Only for a proxy or a compatible server; events go to /v2/enqueue below it.", is_required=False,
        ),
        Field(
            "routing_key", "Integration key",
            "In PagerDuty: the service, Integrations, Events API V2. 32 letters and digits, kept encrypted.",
            is_secret=True,
        ),
    )  # fmt: skip
    addresses = frozenset({"region", "base_url"})
    makes_secret = ""
    actions = frozenset(
        {
            DeliveryAction.TRIGGER, DeliveryAction.RAISE, DeliveryAction.REMIND, DeliveryAction.ESCALATE,
            DeliveryAction.ACKNOWLEDGE, DeliveryAction.RESOLVE, DeliveryAction.TEST,
        }
    )  # fmt: skip
    # 100 a minute; its own throttle begins at about 120.
    pause_s = 0.6

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """Raises DomainError."""
        region, base = settings.get("region") or "us", str(settings.get("base_url") or "").strip()
        if region not in (*HOSTS, OTHER):
            raise DomainError(
                f"region is {str(region)[:40]!r}; it must be us, eu or other.", fields=["region"]
            )
        if region == OTHER:
            self.door.check(base, "base_url")
            parts = urlsplit(base)
            if parts.query or parts.fragment:
                raise DomainError("The address must end before any ? or #.", fields=["base_url"])
        elif base:
            raise DomainError(
                "Another address goes with the region “Another address” only.", fields=["base_url"]
            )
        key = secret.get("routing_key", "").strip()
        if len(key) != 32 or not (key.isascii() and key.isalnum()):
            raise DomainError(
                f"The integration key has 32 letters and digits; this one has {len(key)} characters.",
                fields=["routing_key"],
            )
        return {"region": region, "base_url": base.rstrip("/")}, {"routing_key": key}

    def hint(self, settings: Settings, secret: Secret) -> str:
        return f"Key {tail(secret['routing_key'])}"

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """A test opens an incident of the lowest severity and closes it again. Raises Retryable, Permanent."""
        action = EVENTS.get(DeliveryAction(message.action), "trigger")
        sent = self._send(message, settings, secret, action)
        if message.action == DeliveryAction.TEST:
            self._send(message, settings, secret, "resolve")
        return sent

    def _send(self, message: Message, settings: Settings, secret: Secret, action: str) -> Sent:
        event = event_of(message, secret["routing_key"], action)
        content = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        if len(content) > MOST_BYTES:
            event["payload"].pop("custom_details")
            content = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        base = HOSTS.get(settings.get("region", "us")) or settings["base_url"]
        reply = self.door.post(f"{base}{PATH}", content, {"content-type": "application/json"})
        is_known = settings.get("region", "us") in HOSTS
        said = answer_of(reply, secret) if is_known else ""
        if reply.status == 202 or (200 <= reply.status < 300 and not is_known):
            return Sent(reply.status, said)
        if reply.status in (400, 401, 403, 404, 410, 413):
            is_key = reply.status not in (400, 413) or _is_bad_key(reply)
            words_ = (
                "PagerDuty does not accept the integration key"
                if is_key
                else "PagerDuty refuses this event"
            )
            raise Permanent(
                f"{words_} ({reply.status}).", disables=is_key, status=reply.status, answer=said
            )
        error = failed("PagerDuty", reply, message.at, said)
        if reply.status == 429 and error.retry_after_s is None:
            error.retry_after_s = THROTTLED_S
        raise error


def _is_bad_key(reply: Reply) -> bool:
    """Whether a 400 is about the key; an event that is wrong in itself leaves the channel as it is."""
    try:
        document = reply.json()
    except ValueError:
        return False
    errors = document.get("errors") if isinstance(document, dict) else None
    found = [errors] if isinstance(errors, str) else errors if isinstance(errors, list) else []
    told = [str(one).lower().replace("_", " ") for one in found]
    return any(
        "routing key" in one or "service key" in one or "integration key" in one for one in told
    )
