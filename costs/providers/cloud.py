"""What the billing plugins of the two clouds share: sending, reading replies, and words for what went wrong.

Both clouds hand out a token for an hour and answer in pages; a call here gives a reply or raises the errors of
costs.providers.base.
"""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from core.http import AddressRefusedError, OutboundClient, OutboundError, Reply
from costs.providers.base import Permanent, Retryable, decimal_of

# As many as the ledger keeps (costs.models.billing.amount_field).
_PLACES = Decimal("1e-18")
MAX_WAIT_S = 86_400.0
TRY_AGAIN = frozenset({408, 409, 424, 425, 429})


class Caller:
    """One reading's calls to one cloud: the token is fetched when first needed and once more when it is refused."""

    def __init__(self, client: OutboundClient, fetch_token: Callable[[], str]) -> None:
        self.client, self._fetch_token = client, fetch_token
        self._token = ""
        self._started_at = client.requests

    @property
    def requests(self) -> int:
        """How many HTTP requests this reading took."""
        return self.client.requests - self._started_at

    def call(self, method: str, url: str, **options: Any) -> Reply:
        """The reply to a request with the token, whatever its status, except that a token which has run out is
        replaced once. Raises Retryable and Permanent."""
        self._token = self._token or self._fetch_token()
        reply = self._send(method, url, options)
        if reply.status == 401:
            self._token = self._fetch_token()
            reply = self._send(method, url, options)
        return reply

    def _send(self, method: str, url: str, options: dict[str, Any]) -> Reply:
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json"}
        return send(self.client, method, url, headers=headers, **options)


def send(client: OutboundClient, method: str, url: str, **options: Any) -> Reply:
    """client.request with its errors as a plugin's."""
    try:
        return client.request(method, url, **options)
    except AddressRefusedError as error:
        raise Permanent(str(error), "refused") from None
    except OutboundError as error:
        raise Retryable(str(error)) from None


def object_of(reply: Reply, who: str) -> dict[str, Any]:
    """The reply's JSON object. Raises Retryable: a gateway's page instead of an answer passes."""
    try:
        found = reply.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Retryable(f"{who} answered {reply.status} with something that is no JSON object.")
    return found


def words_of(reply: Reply) -> tuple[str, str]:
    """The provider's error code and message, from either cloud's shapes; a text when it is no JSON."""
    try:
        found = reply.json()
    except ValueError:
        return "", reply.text(300)
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        return str(error.get("code", "")), str(error.get("message", ""))[:1_000]
    if isinstance(error, str):
        told = str(found.get("error_description", "")).splitlines()
        return error, told[0][:1_000] if told else error
    return "", reply.text(300)


def wait_of(headers: Mapping[str, str]) -> float | None:
    """The longest wait that any of the reply's retry-after headers asks for, in seconds; None when none does."""
    waits = [
        float(value)
        for name, value in headers.items()
        if re.fullmatch(r"retry-after|x-ms-ratelimit-.*retry-after", name)
        and re.fullmatch(r"\d+(?:\.\d+)?", value.strip())
    ]
    return min(max(waits), MAX_WAIT_S) if waits else None


def amount_of(value: Any, what: str) -> Decimal:
    """An amount, digit for digit as far as the ledger keeps digits."""
    number = decimal_of(value, what)
    if int(number.as_tuple().exponent) < -18:
        with localcontext(prec=100):
            number = number.quantize(_PLACES, rounding=ROUND_HALF_EVEN)
    return number


@lru_cache(maxsize=64)
def _names(text: str) -> tuple[tuple[str, str], ...]:
    """`pattern = model; …` taken apart. Raises Permanent for a part that is no pair."""
    found = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[;\n]", text))):
        pattern, sign, model = (word.strip().lower() for word in part.rpartition("="))
        if not (pattern and sign and model) or len(model) > 200:
            raise Permanent(
                f"{part[:80]!r} names no model: write a name of the bill, an equals sign and the model,"
                " such as 6.2 vega* = gpt-6.2-vega; separate several by semicolons."
            )
        found.append((pattern, model))
    return tuple(found)


def given_model(settings: Mapping[str, Any], *names: str) -> str:
    """The model that the connection's own list gives to something the bill calls by any of `names`; "" for none."""
    return next(
        (
            model
            for pattern, model in _names(str(settings.get("model_names") or ""))
            if any(fnmatchcase(name.lower(), pattern) for name in names)
        ),
        "",
    )


def rooted(settings: Mapping[str, Any], name: str, default: str) -> str:
    """A base address of the settings without its last slash."""
    return (str(settings.get(name) or "").strip() or default).rstrip("/")
