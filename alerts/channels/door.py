"""The one way from a channel to its receiver: guarded (core.http), 15 seconds, 64 KiB of the answer, no redirect."""

import datetime as dt
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from alerts.channels.base import Retryable
from core.errors import DomainError
from core.http import OutboundClient, Reply
from core.outbound import (
    AddressRefusedError,
    OutboundError,
    Resolver,
    allowed,
    check_url,
    target_of,
)

TOTAL_S = 15.0
MAX_BODY = 64 * 1024
# Other ports only of hosts that the operator listed (LLMLAB_OUTBOUND_ALLOW).
PORTS = frozenset({443, 8443})
MAX_RETRY_AFTER_S = 3_600.0
# A refused address may be a wrong DNS answer, or about to be allowed: asked again, but not every few seconds.
REFUSED_AGAIN_S = 300.0


@dataclass(frozen=True)
class Door:
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

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer, whatever its status. Raises Retryable when there is none."""
        client = OutboundClient(
            total_s=TOTAL_S, max_body=MAX_BODY, cuts=True, ports=self.ports, resolve=self.resolve
        )
        with client:
            try:
                return client.request("POST", url, content=content, headers=headers)
            except AddressRefusedError as error:
                raise Retryable(error.detail, retry_after_s=REFUSED_AGAIN_S) from None
            except OutboundError as error:
                raise Retryable(error.detail) from None


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


def failed(name: str, reply: Reply, now: dt.datetime, answer: str = "") -> Retryable:
    """Any status that is neither success nor known to be permanent."""
    if reply.status in (301, 302, 303, 307, 308):
        words = f"{name} answered with a redirect ({reply.status}), which is not followed."
    elif reply.status == 429:
        words = f"{name} asks to send less (429)."
    else:
        words = f"{name} answered {reply.status}."
    return Retryable(
        words, retry_after_s=retry_after(reply, now), status=reply.status, answer=answer
    )
