"""Asking a billing API: one request or all pages, with its refusals turned into Retryable and Permanent.

The words say who refused and what to do; the provider's own follow. They may hold what the provider echoes of a key:
whoever stores them takes the secrets out (costs.billing.redaction).
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from core.http import (
    AddressRefusedError,
    OutboundClient,
    OutboundError,
    Reply,
    ReplyTooLargeError,
)
from costs.providers.base import Permanent, Retryable

MAX_PAGES = 200
LONGEST_WAIT_S = 24 * 3600.0
_WORTH_A_RETRY = frozenset({408, 409, 425, 429})

Params = Sequence[tuple[str, str]]


class Asker:
    """Talks to one provider's API; counts its requests."""

    def __init__(self, client: OutboundClient, label: str, headers: Mapping[str, str]) -> None:
        self._client, self._label, self._headers = client, label, dict(headers)
        self._before = client.requests

    @property
    def requests(self) -> int:
        """How many were sent so far."""
        return self._client.requests - self._before

    def get(self, url: str, params: Params = (), headers: Mapping[str, str] | None = None) -> Any:
        """The JSON object at `url`. Raises Retryable, Permanent."""
        return self.json_of(self.send("GET", url, params=params, headers=headers))

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Reply:
        """A 2xx reply. Raises Retryable, Permanent."""
        try:
            reply = self._client.request(
                method,
                url,
                params=params,
                headers={**self._headers, **(headers or {})},
                json=json,
                form=form,
            )
        except (AddressRefusedError, ReplyTooLargeError) as error:
            raise Permanent(error.detail, error.code, requests=self.requests) from None
        except OutboundError as error:
            raise Retryable(error.detail, requests=self.requests) from None
        if 200 <= reply.status < 300:
            return reply
        raise self._refusal(reply)

    def pages(
        self, url: str, params: Params, headers: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every page of a list with `has_more` and `next_page`. Raises Retryable when the pages do not end."""
        seen: set[str] = set()
        place: list[tuple[str, str]] = []
        for _ in range(MAX_PAGES):
            page = self.get(url, [*params, *place], headers)
            yield page
            if not page.get("has_more"):
                return
            following = page.get("next_page")
            if not isinstance(following, str) or not following:
                raise self.unreadable("says that there is more, but not where")
            if following in seen:
                raise self.unreadable("leads from page to page in a circle")
            seen.add(following)
            place = [("page", following)]
        raise self.unreadable(f"has more than {MAX_PAGES} pages for a few days")

    def json_of(self, reply: Reply) -> Any:
        """The reply's JSON object."""
        try:
            found = reply.json()
        except ValueError:
            raise self.unreadable("is no JSON") from None
        if not isinstance(found, dict):
            raise self.unreadable("is no JSON object")
        return found

    def unreadable(self, what: str) -> Retryable:
        """A reply nobody can use; often a proxy between, so another try is worth it."""
        return Retryable(f"{self._label}'s reply {what}.", requests=self.requests)

    def _refusal(self, reply: Reply) -> Exception:
        said = words_of(reply)
        told = f" It says: {said}" if said else ""
        label, status, requests = self._label, reply.status, self.requests
        if status in _WORTH_A_RETRY or status >= 500:
            why = "asks to slow down" if status == 429 else "has a problem"
            return Retryable(
                f"{label} {why} (status {status}).{told}",
                retry_after_s(reply.headers),
                requests=requests,
            )
        if status == 401:
            words = "does not accept the credentials. Make new ones and replace them here"
            return Permanent(
                f"{label} {words} (status 401).{told}", "unauthorized", requests=requests
            )
        if status == 403:
            words = "accepts the credentials, but they may not read the bill. Give them the rights the guide names"
            return Permanent(f"{label} {words} (status 403).{told}", "forbidden", requests=requests)
        if status == 404:
            words = "does not know this address for this account"
            return Permanent(f"{label} {words} (status 404).{told}", "not_found", requests=requests)
        if 300 <= status < 400:
            words = "points to another address; redirects are not followed. Check the base address"
            return Permanent(f"{label} {words} (status {status}).", "redirected", requests=requests)
        code = "invalid_request" if status == 400 else "refused"
        return Permanent(
            f"{label} refuses the question (status {status}).{told}", code, requests=requests
        )


def words_of(reply: Reply) -> str:
    """The provider's own words, as its error bodies carry them; else the start of a short text."""
    try:
        found = reply.json()
    except ValueError:
        text = reply.text(300).strip()
        return "" if text.startswith("<") else text
    if isinstance(found, dict):
        error = found.get("error")
        if isinstance(error, dict):
            found = {"message": error.get("message") or error.get("status") or error.get("code")}
        for name in ("message", "error_description", "error"):
            if isinstance(found.get(name), str) and found[name].strip():
                return str(found[name]).strip()[:1_000]
    return ""


def retry_after_s(headers: Mapping[str, str], now: dt.datetime | None = None) -> float | None:
    """`Retry-After` in seconds or as a date; None without one that can be read. Bounded."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=dt.UTC)
        seconds = (at - (now or dt.datetime.now(dt.UTC))).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)
