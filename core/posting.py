"""The one way to post to an address that somebody set: guarded (core.http), 15 seconds, 64 KiB of the answer, no
redirect."""

import datetime as dt
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from core.errors import DomainError
from core.http import OutboundClient, Reply
from core.outbound import OutboundError, Resolver, allowed, check_url, target_of

TOTAL_S = 15.0
MAX_BODY = 64 * 1024
# Other ports only of hosts that the operator listed (LLMLAB_OUTBOUND_ALLOW).
PORTS = frozenset({443, 8443})
MAX_RETRY_AFTER_S = 3_600.0


@dataclass(frozen=True)
class Poster:
    """`resolve` replaces the system's resolver in tests; without `ports` any port is called."""

    resolve: Resolver | None = None
    ports: frozenset[int] = PORTS

    def check(self, url: str, field: str) -> str:
        """The host of an address that may be called. Raises DomainError naming the field."""
        try:
            return check_url(url, resolve=self.resolve, ports=self.ports).host.lower()
        except OutboundError as error:
            raise DomainError(error.detail, code=error.code, fields=[field]) from None

    def is_listed(self, url: str) -> bool:
        """Whether the operator named this host, so that it may stand for a service: a proxy, the simulator."""
        target, listed = target_of(url), allowed()
        if listed.has_name(target.host.lower(), target.port):
            return True
        try:
            return listed.has_address(ip_address(target.host), target.port)
        except ValueError:
            return False

    def request(self, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer to a POST, whatever its status. Raises OutboundError when there is none."""
        client = OutboundClient(
            total_s=TOTAL_S, max_body=MAX_BODY, cuts=True, ports=self.ports, resolve=self.resolve
        )
        with client:
            return client.request("POST", url, content=content, headers=headers)


def retry_after(reply: Reply, now: dt.datetime) -> float | None:
    """What `Retry-After` asks for in seconds, at most an hour; None without a readable one."""
    text = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def words_of(name: str, status: int) -> str:
    """What a status says that is no success."""
    if status in (301, 302, 303, 307, 308):
        return f"{name} answered with a redirect ({status}), which is not followed."
    if status == 429:
        return f"{name} asks to send less (429)."
    return f"{name} answered {status}."
