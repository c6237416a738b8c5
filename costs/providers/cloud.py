"""What the billing plugins of the two clouds share: signing in, asking with a token that runs out, exact amounts, and
the models that people name by hand.
"""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from core.http import OutboundClient, Reply
from costs.providers.asking import LONGEST_WAIT_S, Asker, retry_after_s, words_of
from costs.providers.base import Permanent, decimal_of

# As many as the ledger keeps (costs.models.billing.amount_field).
_PLACES = Decimal("1e-18")
_WAITS = re.compile(r"x-ms-ratelimit-.*retry-after")


class SignIn(Asker):
    """Gets tokens for credentials. `hints`: what to say beside the provider's own words, by its error code."""

    def __init__(
        self, client: OutboundClient, label: str, hints: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(client, label, {"accept": "application/json"})
        self._hints = dict(hints or {})

    def token(self, url: str, form: Mapping[str, str]) -> str:
        """A fresh access token. Raises Permanent (unauthorized) for credentials that are refused, Retryable."""
        found = self.json_of(self.send("POST", url, form=form)).get("access_token")
        if not isinstance(found, str) or not found:
            raise self.unreadable("has no token")
        return found

    def _refusal(self, reply: Reply) -> Exception:
        if reply.status not in (400, 401, 403):
            return super()._refusal(reply)
        # Azure adds trace ids on further lines.
        said = (words_of(reply).splitlines() or ["no reason given"])[0]
        hint = next((words for code, words in self._hints.items() if code in reply.text()), "")
        told = f"{self._label} refuses the credentials: {said} {hint}".strip()
        return Permanent(told, "unauthorized", requests=self.requests)


class CloudAsker(Asker):
    """Asks with a token, which is fetched when first needed and once more when it is refused."""

    def __init__(self, client: OutboundClient, label: str, fetch_token: Callable[[], str]) -> None:
        super().__init__(client, label, {"accept": "application/json"})
        self._fetch_token, self._token = fetch_token, ""

    def ask(self, method: str, url: str, **options: Any) -> Reply:
        """A 2xx reply. Raises Retryable, Permanent."""
        self._token = self._token or self._fetch_token()
        try:
            return self._ask(method, url, options)
        except Permanent as error:
            if error.code != "unauthorized":
                raise
        self._token = self._fetch_token()
        return self._ask(method, url, options)

    def _ask(self, method: str, url: str, options: dict[str, Any]) -> Reply:
        headers = {"authorization": f"Bearer {self._token}"}
        return self.send(method, url, headers=headers, **options)


def longest_wait_s(headers: Mapping[str, str]) -> float | None:
    """The longest wait that Retry-After or one of Azure's own headers asks for; None when none does."""
    asked = [retry_after_s(headers)]
    asked += [
        float(value)
        for name, value in headers.items()
        if _WAITS.fullmatch(name) and re.fullmatch(r"\d{1,9}(?:\.\d+)?", value.strip())
    ]
    waits = [one for one in asked if one is not None]
    return min(max(waits), LONGEST_WAIT_S) if waits else None


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
