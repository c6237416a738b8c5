"""One kept connection to the server. Imports its HTTP code when first used, in the sender's thread."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from llmlab.config import Settings
from llmlab.version import __version__

if TYPE_CHECKING:
    import http.client

_MAX_ANSWER = 16 * 1024 * 1024


class Unreachable(Exception):
    """No answer: nobody there, too slow, or cut off."""


class Answer:
    """What the server said."""

    __slots__ = ("body", "headers", "status", "was_resent")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        # The connection broke first; the server may have taken the request then already.
        self.was_resent = False

    def json(self) -> Any:
        """The body, or None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def detail(self) -> str:
        """The server's own sentence about it."""
        document = self.json()
        detail = document.get("detail") if isinstance(document, dict) else None
        if isinstance(detail, str):
            return detail[:500]
        return self.body[:200].decode("utf-8", "replace").strip()


class Transport:
    """POSTs to the project's doors. Not thread-safe: the sender owns it."""

    def __init__(self, settings: Settings) -> None:
        from urllib.parse import quote, urlsplit

        self.settings = settings
        try:
            self.address = urlsplit(settings.base_url)
        except ValueError:  # http://[half: told with every request, as unreachable
            self.address = urlsplit("http://")
        self._prefix = (
            f"{self.address.path.rstrip('/')}/api/v1/projects/{quote(settings.project, safe='')}"
        )
        self._target = ""
        self._connection: http.client.HTTPConnection | None = None
        self._proxy_headers: dict[str, str] = {}
        self._headers = {
            "Authorization": f"Bearer {settings.api_key}".encode("utf-8", "replace").decode(
                "latin-1"
            ),
            "User-Agent": f"llmlab-python/{__version__}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Accept": "application/json",
        }

    def post(self, door: str, body: bytes) -> Answer:
        """One request. Raises Unreachable; a kept connection the server closed is opened again once."""
        import gzip
        import http.client

        packed = gzip.compress(body, 5)
        kept = self._connection is not None
        try:
            try:
                return self._post(door, packed)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not kept:
                    raise
                self.close()
                answer = self._post(door, packed)
                answer.was_resent = True
                return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    def get(self, door: str, headers: dict[str, str]) -> Answer:
        """One reading request. Raises Unreachable."""
        import http.client

        kept = {name: self._headers[name] for name in ("Authorization", "User-Agent", "Accept")}
        try:
            connection = self._connection or self._connect()
            self._connection = connection
            connection.request(
                "GET",
                f"{self._target}{self._prefix}/{door}",
                headers={**kept, **headers, **self._proxy_headers},
            )
            return self._answered(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    def _post(self, door: str, packed: bytes) -> Answer:
        connection = self._connection or self._connect()
        self._connection = connection
        path = f"{self._target}{self._prefix}/{door}"
        connection.request(
            "POST", path, body=packed, headers={**self._headers, **self._proxy_headers}
        )
        return self._answered(connection.getresponse())

    def _answered(self, response: http.client.HTTPResponse) -> Answer:
        body = response.read(_MAX_ANSWER)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, headers, body)

    def _connect(self) -> http.client.HTTPConnection:
        import http.client

        address, timeout = self.address, self.settings.timeout
        host = address.hostname
        if not host:
            raise ValueError("LLMLAB_BASE_URL names no host")
        is_tls = address.scheme == "https"
        port = address.port or (443 if is_tls else 80)
        kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
        proxy = _proxy(address.scheme, host, address.netloc)
        if proxy is None:
            return kind(host, port, timeout=timeout)
        return self._through(proxy, kind, host, port, timeout)

    def _through(
        self,
        proxy: str,
        kind: type[http.client.HTTPConnection],
        host: str,
        port: int,
        timeout: float,
    ) -> http.client.HTTPConnection:
        """By way of a proxy: a tunnel for https, the whole address in the request for http."""
        import base64
        from urllib.parse import unquote, urlsplit

        via = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        headers = {}
        if via.username:
            login = f"{unquote(via.username)}:{unquote(via.password or '')}"
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        connection = kind(via.hostname or "", via.port or 80, timeout=timeout)
        if self.address.scheme == "https":
            connection.set_tunnel(host, port, headers)
        else:
            self._target = f"http://{self.address.netloc.rpartition('@')[2]}"
            self._proxy_headers = headers
        return connection

    def close(self) -> None:
        """Give the connection up; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except OSError:
                pass  # it is gone either way


def _proxy(scheme: str, host: str, netloc: str) -> str | None:
    """The proxy that the environment names for this address."""
    if host in ("localhost", "127.0.0.1", "::1") or not any(
        name.lower().endswith("_proxy") for name in os.environ
    ):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    return None if not address or proxy_bypass(netloc.rpartition("@")[2]) else address
