"""What a message says, whatever channel carries it (pure). Made once, stored, said again unchanged."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Notice:
    """Texts are plain: each channel escapes them. Amounts and limits are in words (`value_words`) and as decimal
    strings; URLs are absolute; instants ISO 8601 in UTC."""

    # Standard Webhooks event type: alert.fired, alert.raised, alert.acknowledged, alert.resolved, alert.reminder,
    # alert.escalated, alert.group, alert.digest, channel.test, channel.notice.
    type: str
    title: str
    words: str
    severity: str
    # firing, acknowledged, resolved; empty for tests and digests.
    state: str = ""
    kind: str = ""
    dedup_key: str = ""
    at: str = ""
    began_at: str = ""
    organization: str = ""
    project: str = ""
    scope: str = ""
    rule_id: str = ""
    rule_name: str = ""
    event_id: str = ""
    period: str = ""
    value: str | None = None
    limit: str | None = None
    # By how much it is over (or under), in words with the share: `$4.11 (4.1 %) over`.
    over: str = ""
    value_words: str = ""
    limit_words: str = ""
    unit: str = ""
    # Label and figure.
    rows: Sequence[tuple[str, str]] = ()
    # What moved it, biggest first: dimension, value, words.
    causes: Sequence[tuple[str, str, str]] = ()
    # Instant and decimal string or None: the course up to now.
    points: Sequence[tuple[str, str | None]] = ()
    note: str = ""
    # Label and URL, the most useful first: open the alert, the filtered page, acknowledge, snooze.
    links: Sequence[tuple[str, str]] = ()
    # Of a group or digest: title, words and URL of each.
    items: Sequence[tuple[str, str, str]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The notice a delivery holds; names this release does not know are passed over."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("rows", "causes", "points", "links", "items"):
            known[name] = tuple(tuple(one) for one in known.get(name, ()))
        return cls(**known)
