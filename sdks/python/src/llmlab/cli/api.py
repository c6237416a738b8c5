"""The server's API for the command line: one request, tried again where that is safe, refused in one sentence."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, NamedTuple

from llmlab.cli.errors import CliError
from llmlab.version import __version__

RETRY_STATUSES = (429, 502, 503, 504)
_MAX_WAIT = 60.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Unreachable(CliError):
    """Nobody answered."""


class Refused(CliError):
    """The server answered with an error; `detail` is its own sentence."""

    def __init__(self, message: str, *, status: int, error_code: str, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.detail = detail


class Reply(NamedTuple):
    """What the server said."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def clock_of(reply: Reply) -> dt.datetime | None:
    """The time in an answer of /healthz; of an older server or a proxy the header's, in whole seconds."""
    document = reply.json()
    try:
        if isinstance(document, dict) and "time" in document:
            return dt.datetime.fromisoformat(str(document["time"]))
        return parsedate_to_datetime(reply.headers.get("Date", ""))
    except (TypeError, ValueError):
        return None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def check_address(text: str) -> str:
    """The address without a slash at its end. Raises CliError."""
    address = text.strip().rstrip("/")
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CliError(
            f"The address is {text[:80]!r}; it must look like https://llmlab.example.com or http://localhost:8000."
        )
    if parts.username or parts.query or parts.fragment:
        raise CliError("The address must hold no user, password, query or fragment.")
    return address


def is_loopback(address: str) -> bool:
    """Whether a key sent there stays on this machine."""
    return (urllib.parse.urlsplit(address).hostname or "") in _LOOPBACK


class Api:
    """Requests with one key to one server."""

    def __init__(
        self, address: str, key: str, project: str = "", *, timeout: float = 30, tries: int = 4
    ) -> None:
        self.address = check_address(address)
        self.key = key
        self.project = project
        self.timeout = timeout
        self.tries = tries
        handlers: list[Any] = [_NoRedirects]
        if is_loopback(self.address):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def path(self, rest: str = "") -> str:
        """An address below the project's."""
        return f"/api/v1/projects/{urllib.parse.quote(self.project, safe='')}{'/' + rest if rest else ''}"

    def get(self, path: str, params: Any = None) -> Any:
        """The JSON of an answer."""
        if params:
            path += "?" + urllib.parse.urlencode(params, doseq=True)
        return self.request("GET", path).json()

    def post(self, path: str, body: Any, *, is_repeatable: bool = False) -> Any:
        """`is_repeatable`: sent again after a broken connection, too, because twice is the same as once."""
        return self.request("POST", path, body, is_repeatable=is_repeatable).json()

    def pages(self, path: str, params: Any) -> Iterator[dict[str, Any]]:
        """Every page of a list. Of `next` only the query is taken: behind a proxy its host may be another."""
        query = urllib.parse.urlencode(params, doseq=True)
        while True:
            page = self.request("GET", f"{path}?{query}").json()
            if not isinstance(page, dict):
                raise CliError(f"{self.address} did not answer as LLMLab does; check the address.")
            yield page
            if not page.get("next"):
                return
            query = urllib.parse.urlsplit(str(page["next"])).query

    def server_now(self) -> dt.datetime:
        """The server's clock: "the last hour" is its hour, also where this machine's clock is off."""
        return clock_of(self.once("GET", "/healthz")) or dt.datetime.now(dt.timezone.utc)

    def request(
        self, method: str, path: str, body: Any = None, *, is_repeatable: bool | None = None
    ) -> Reply:
        """Raises Refused for an error of the server, Unreachable when nobody answers."""
        repeatable = method == "GET" if is_repeatable is None else is_repeatable
        for attempt in range(self.tries):
            is_last = attempt + 1 == self.tries
            try:
                reply = self.once(method, path, body)
            except Unreachable:
                if is_last or not repeatable:
                    raise
                time.sleep(_pause(attempt, None))
                continue
            if reply.status in RETRY_STATUSES and not is_last:
                time.sleep(_pause(attempt, reply.headers.get("Retry-After")))
                continue
            if reply.status >= 300:
                raise self.refusal(reply)
            return reply
        raise AssertionError("unreachable")

    def once(self, method: str, path: str, body: Any = None) -> Reply:
        """One attempt; every status is an answer."""
        request = self._request(method, path, body)
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())
        except (OSError, HTTPException) as error:
            raise self.unreachable(error) from None

    def open(self, path: str) -> Any:
        """A file that is read in pieces."""
        try:
            return self._opener.open(self._request("GET", path), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise self.refusal(Reply(error.code, error.headers, error.read())) from None
        except (OSError, HTTPException) as error:
            raise self.unreachable(error) from None

    def _request(self, method: str, path: str, body: Any = None) -> urllib.request.Request:
        headers = {
            "User-Agent": f"llmlab-cli/{__version__}",
            "Accept": "application/json",
            "Authorization": f"Bearer {self.key}",
        }
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
            if len(data) > 2_000:
                data, headers["Content-Encoding"] = gzip.compress(data, 5), "gzip"
        # check_address saw to it that the scheme is http or https.
        return urllib.request.Request(self.address + path, data, headers, method=method)  # noqa: S310

    def unreachable(self, error: Exception) -> Unreachable:
        """Why there was no answer, and what to look at."""
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            return Unreachable(
                f"{self.address} has a certificate this machine does not trust ({reason.reason or reason}). "
                "Set SSL_CERT_FILE to your authority's certificate."
            )
        if isinstance(reason, TimeoutError):
            return Unreachable(
                f"{self.address} did not answer in {self.timeout:g} s. Is LLMLab running there?"
            )
        text = str(reason) or type(reason).__name__
        return Unreachable(f"{self.address} cannot be reached ({text}). Is LLMLab running there?")

    def refusal(self, reply: Reply) -> Refused:
        """The server's sentence, and what to do about the usual ones."""
        document = reply.json()
        said = document if isinstance(document, dict) else {}
        detail = str(said.get("detail") or said.get("message") or "").strip()[:1_000]
        code = str(said.get("code") or "")
        if 300 <= reply.status < 400:
            target = reply.headers.get("Location", "")
            message = f"{self.address} redirects to {target[:200]}. Log in with that address: llmlab login --address …"
        elif reply.status == 401:
            message = f"{self.address} does not know the key (or it was revoked). Log in again: llmlab login"
        elif reply.status == 403:
            message = f"The key may not do that: {detail or 'forbidden'}"
        elif not detail:
            message = f"{self.address} answered {reply.status}, not as LLMLab does. Check the address: llmlab doctor"
        elif reply.status == 404 and code == "not_found":
            message = f"Not found: {detail} It does not exist in project {self.project}, or it is not yours."
        else:
            message = detail
        return Refused(message, status=reply.status, error_code=code, detail=detail or message)


def _pause(attempt: int, retry_after: str | None) -> float:
    if retry_after and retry_after.strip().isdigit():
        return min(float(retry_after), _MAX_WAIT)
    return random.uniform(0.2, 1.0) * min(0.5 * float(2**attempt), 8.0)  # noqa: S311 -- jitter, no secret
