"""What a receiver says, fit to be stored and shown: no secret of the channel, no key, at most 1 KB."""

from urllib.parse import urlsplit

from alerts.channels.base import Secret
from core.http import Reply
from costs.billing.redaction import clean_words

MOST = 1_000


def answer_of(reply: Reply, secret: Secret) -> str:
    """Only for receivers that we know: anybody else's words are not shown (SSRF by reading answers)."""
    words = dict(secret)
    for name, value in secret.items():  # a URL's last parts are the secret in it
        if "://" in value:
            words |= {f"{name}.{place}": part for place, part in enumerate(value.split("/")[3:])}
            words[f"{name}.query"] = value.partition("?")[2]
    return clean_words(reply.text(MOST * 2).strip(), words)[:MOST]


def place(url: str) -> str:
    """What people recognise an address by: host and end."""
    return f"{(urlsplit(url).hostname or '')[:40]} {tail(url)}"


def tail(secret: str) -> str:
    """The last four characters, of what is long enough to stay secret then."""
    return f"…{secret[-4:]}" if len(secret) >= 12 else "…"
