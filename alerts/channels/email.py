"""E-mail to a few addresses, through whatever backend Django is set up with.

Each address is sent its own copy over one connection: so one bad address stops nobody else, and what was refused can
be named. A later try leaves out who has it already.
"""

import re
import smtplib
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

from anymail.exceptions import (
    AnymailError,
    AnymailRecipientsRefused,
)
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.validators import validate_email

from alerts.channels.base import Message, Permanent, Retryable, Secret, Sent, Settings
from alerts.channels.mails import mail_of
from alerts.models import DeliveryAction
from core.access_fields import Field
from core.errors import DomainError

MOST_ADDRESSES = 20
# All copies together; the mail server's own limit is EMAIL_TIMEOUT.
TOTAL_S = 15.0
SHOWN = 3


def addresses_of(given: Any) -> list[str]:
    """Addresses from a list or from text with commas, semicolons, blanks or lines. Raises DomainError naming `to`."""
    if isinstance(given, str):
        given = re.split(r"[\s,;]+", given)
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise DomainError("to must be a list of e-mail addresses.", fields=["to"])
    found: dict[str, str] = {}
    for one in filter(None, (one.strip() for one in given)):
        try:
            validate_email(one)
        except ValidationError:
            raise DomainError(f"{one[:100]!r} is no e-mail address.", fields=["to"]) from None
        found.setdefault(one.lower(), one)
    if not found:
        raise DomainError("Name at least one e-mail address.", fields=["to"])
    if len(found) > MOST_ADDRESSES:
        raise DomainError(
            f"to has {len(found)} addresses; at most {MOST_ADDRESSES}. Use the address of a group.",
            fields=["to"],
        )
    return list(found.values())


class _Refused(Exception):
    """One address was not taken."""

    def __init__(self, words: str, *, is_final: bool, is_unknown: bool = False) -> None:
        super().__init__(words)
        self.words, self.is_final, self.is_unknown = words, is_final, is_unknown


def _refusal(code: int, said: bytes | str) -> _Refused:
    """What a mail server's answer to one recipient means."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    text = " ".join(text.split())[:200]
    is_final = 500 <= code < 600
    # Of the address itself; 5.7 and relaying are about this server, which is the operator's to mend.
    is_unknown = code in (550, 551, 553) and "5.7." not in text and "relay" not in text.lower()
    return _Refused(f"{code} {text}", is_final=is_final, is_unknown=is_unknown)


def send_to(addresses: Sequence[str], message: Message) -> Sent:
    """A copy to each address that has none yet. Raises Retryable, Permanent.

    Taken by some and refused for good by the others counts as sent, and the answer names them.
    """
    mail = mail_of(message)
    todo = [one for one in addresses if one not in message.taken]
    taken: list[str] = [one for one in addresses if one in message.taken]
    refused: dict[str, _Refused] = {}
    end = monotonic() + TOTAL_S
    try:
        mail.connection = connection = get_connection()
        connection.open()
        try:
            for one in todo:
                if monotonic() > end:
                    refused[one] = _Refused("no time left", is_final=False)
                    continue
                try:
                    _send_one(mail, one)
                    taken.append(one)
                except _Refused as error:
                    refused[one] = error
        finally:
            connection.close()
    except (OSError, smtplib.SMTPException, AnymailError) as error:
        raise Retryable(f"The mail server did not take it: {_plain(error)}", taken=taken) from None
    return _outcome(addresses, taken, refused)


def _send_one(mail: EmailMultiAlternatives, address: str) -> None:
    mail.to = [address]
    try:
        if not mail.send():
            raise _Refused("not sent", is_final=False)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(*next(iter(error.recipients.values()))) from None
    except (
        smtplib.SMTPDataError
    ) as error:  # the message is refused, which says nothing of the address
        told = _refusal(error.smtp_code, error.smtp_error)
        raise _Refused(told.words, is_final=told.is_final) from None
    except AnymailRecipientsRefused as error:
        words = " ".join(str(error).split())[:200]
        raise _Refused(words, is_final=True, is_unknown=True) from None


def _plain(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _refusal(error.smtp_code, error.smtp_error).words
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _outcome(addresses: Sequence[str], taken: list[str], refused: dict[str, _Refused]) -> Sent:
    told = "; ".join(f"{one} ({error.words})" for one, error in refused.items())[:800]
    if any(not error.is_final for error in refused.values()):
        raise Retryable(f"Not taken yet: {told}", taken=taken)
    if refused and not taken:
        disables = all(error.is_unknown for error in refused.values())
        raise Permanent(f"Nobody could be sent it: {told}"[:500], disables=disables, answer=told)
    words = f"Sent to {len(taken)} of {len(addresses)}."
    return Sent(answer=f"{words} Refused: {told}" if refused else words)


def short_list(addresses: Iterable[str]) -> str:
    found = list(addresses)
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")


class EmailPlugin:
    """A list of addresses."""

    kind = "email"
    label = "E-mail"
    help = "A message with the chart and the causes to up to 20 addresses."
    fields = (
        Field(
            "to", "Addresses", "Up to 20, one per line or separated by commas. Each gets a copy of its own.",
            is_long=True,
        ),
    )  # fmt: skip
    addresses: frozenset[str] = frozenset()
    makes_secret = ""
    actions = frozenset(DeliveryAction.values)
    pause_s = 0.0

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """Raises DomainError."""
        return {"to": addresses_of(settings.get("to", ""))}, {}

    def hint(self, settings: Settings, secret: Secret) -> str:
        found = settings["to"]
        text = short_list(found)
        if len(text) > 60:
            text = f"{found[0][:40]} and {len(found) - 1} more" if len(found) > 1 else found[0]
        return text[:60]

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """Raises Retryable, Permanent."""
        return send_to(settings["to"], message)
