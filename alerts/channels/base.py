"""What every kind of channel can do, and the two ways a sending fails."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from alerts.notices import Notice
from core.access_fields import Field


@dataclass(frozen=True)
class Message:
    """One try of one delivery. `action` is models.DeliveryAction; `message_id` is the same on every try."""

    notice: Notice
    action: str
    dedup_key: str
    message_id: str
    # The instant of this try.
    at: dt.datetime
    # Whom an earlier try reached already (Retryable.taken): not told again.
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sent:
    """It was taken. `answer`: the receiver's words, at most 1 KB, secrets taken out."""

    status: int | None = None
    answer: str = ""


class SendError(Exception):
    """The receiver did not take it. `words` are for people and hold no secret."""

    def __init__(self, words: str, *, status: int | None = None, answer: str = "") -> None:
        super().__init__(words)
        self.words, self.status, self.answer = words, status, answer


class Retryable(SendError):
    """Try again, not before `retry_after_s`. `taken`: of several receivers those that were reached; the next try is
    handed them (Message.taken)."""

    def __init__(
        self,
        words: str,
        *,
        retry_after_s: float | None = None,
        status: int | None = None,
        answer: str = "",
        taken: Iterable[str] = (),
    ) -> None:
        super().__init__(words, status=status, answer=answer)
        self.retry_after_s, self.taken = retry_after_s, frozenset(taken)


class Permanent(SendError):
    """Never try this message again; with `disables`, nothing will get through until somebody mends the channel."""

    def __init__(
        self, words: str, *, disables: bool, status: int | None = None, answer: str = ""
    ) -> None:
        super().__init__(words, status=status, answer=answer)
        self.disables = disables


Settings = Mapping[str, Any]
Secret = Mapping[str, str]


class ChannelPlugin(Protocol):
    """One kind. Knows no model and no database: what it needs is handed over."""

    @property
    def kind(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def help(self) -> str: ...
    @property
    def fields(self) -> Sequence[Field]: ...
    @property
    def addresses(self) -> frozenset[str]:
        """Fields that say where messages go: with one of them changed, the secrets are asked for again."""
        ...

    @property
    def makes_secret(self) -> str:
        """The name of a secret that LLMLab makes and shows once (alerts.channels.webhook); empty for none."""
        ...

    @property
    def actions(self) -> frozenset[str]:
        """Which actions it carries; the others are not queued for it."""
        ...

    @property
    def pause_s(self) -> float:
        """Fewest seconds between two messages."""
        ...

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """What to store, checked (addresses too; what is made is made here). Raises DomainError naming the field."""
        ...

    def hint(self, settings: Settings, secret: Secret) -> str:
        """What people recognise it by; never the secret."""
        ...

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """Send once, within 15 s. Raises Retryable or Permanent."""
        ...
