"""Where this server may connect on somebody's word: public addresses, and what the operator lists.

Judged is the address that a connection is about to be made to, never the spelling in a URL: decimal, octal, hex and
short forms, names and IPv6 in every guise end in an address first. Addresses that carry another one inside (mapped,
NAT64, 6to4, Teredo) count as both.
"""

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from threading import Thread
from urllib.parse import urlsplit

import httpx2
from django.conf import settings

from core.errors import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

RESOLVE_SECONDS = 5.0
MAX_URL = 2_000
# Not for the public although Python's `is_global` says so, or says different things from release to release.
_CLOSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",  # the platform's own address inside Azure
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001:db8::/32",
        "3fff::/20",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
# What an ISATAP interface id begins with; the rest of it is an IPv4 address.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
# Names that lead nowhere in public: of this machine, this network, or a cloud's inside.
_INNER = (".localhost", ".localdomain", ".local", ".internal", ".home.arpa", ".lan")


class OutboundError(DomainError):
    """A call to the outside that was not made, or not answered as it must be."""

    code = "outbound_failed"


class AddressRefusedError(OutboundError):
    """The address is not one that this server calls."""

    code = "address_refused"


class UnreachableError(OutboundError):
    """No connection, or it broke."""

    code = "unreachable"


class OutboundTimeoutError(OutboundError):
    """No answer in time."""

    code = "timeout"


class ReplyTooLargeError(OutboundError):
    """The answer is larger than what is taken."""

    code = "reply_too_large"


@dataclass(frozen=True)
class Target:
    """A URL taken apart."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Allowed:
    """What LLMLAB_OUTBOUND_ALLOW lists."""

    names: frozenset[tuple[str, int | None]]
    networks: tuple[tuple[Network, int | None], ...]

    def has_name(self, host: str, port: int) -> bool:
        return (host, port) in self.names or (host, None) in self.names

    def has_address(self, address: Address, port: int) -> bool:
        return any(
            address in network and (only is None or only == port)
            for network, only in self.networks
            if network.version == address.version
        )


def read_allowed(entries: Iterable[str]) -> Allowed:
    """`host`, `host:port`, `address`, `address:port`, `[address]:port` and CIDR ranges. Raises ValueError naming the
    entry."""
    names: set[tuple[str, int | None]] = set()
    networks: list[tuple[Network, int | None]] = []
    for entry in entries:
        host, port = _split_port(entry.strip().lower())
        try:
            networks.append((ipaddress.ip_network(host, strict=False), port))
        except ValueError:
            if not host or "/" in host or any(sign.isspace() for sign in host):
                raise ValueError(
                    f"{entry!r} is no host, host:port, address or CIDR range."
                ) from None
            names.add((host.rstrip("."), port))
    return Allowed(frozenset(names), tuple(networks))


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, _port(rest.removeprefix(":"), entry) if rest else None
    host, colon, port = entry.rpartition(":")
    if not colon or ":" in host:  # no port, or a bare IPv6 address
        return entry, None
    return host, _port(port, entry)


def _port(text: str, entry: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ValueError(f"{entry!r}: {text!r} is no port.")
    return int(text)


@lru_cache(maxsize=8)
def _allowed(entries: tuple[str, ...]) -> Allowed:
    return read_allowed(entries)


def allowed() -> Allowed:
    """The operator's list."""
    return _allowed(tuple(settings.LLMLAB_OUTBOUND_ALLOW))


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may be meant by `address`, and by every address inside it."""
    return all(_is_open(one) for one in _inside(address))


def _is_open(address: Address) -> bool:
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not any(address in net for net in _CLOSED if net.version == address.version)
    )


def _inside(address: Address) -> list[Address]:
    """The address itself, or the ones it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return [low]
    if address.sixtofour:
        return [address, address.sixtofour]
    if address.teredo:
        return [address, *address.teredo]
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return [address, low]
    return [address]


def target_of(url: str) -> Target:
    """The URL's parts. Raises AddressRefusedError in words for the person who typed it."""
    try:
        if len(url) > MAX_URL or any(ord(sign) < 33 or sign in "\\\x7f" for sign in url):
            raise ValueError
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port
        if "%" in host or _reads_otherwise(httpx2.URL(url), host, port):
            raise ValueError
    except (ValueError, httpx2.InvalidURL):
        raise AddressRefusedError(f"{url[:100]!r} is no web address.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise AddressRefusedError(
            f"{url[:100]!r} is no web address: it must start with https:// and name a host."
        )
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError("The address must not hold a user name or a password.")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def _reads_otherwise(seen: httpx2.URL, host: str, port: int | None) -> bool:
    """Whether the client would go elsewhere than where we judge (names in other scripts are left to the connection)."""
    name = seen.host.rstrip(".").strip("[]").lower()
    default = {"http": 80, "https": 443}.get(seen.scheme)
    is_other = name.isascii() and host.isascii() and name != host.lower()
    return is_other or (seen.port or default) != (port or default)


def addresses_of(host: str, port: int, resolve: Resolver | None = None) -> list[str]:
    """The checked addresses of `host`, in the resolver's order. Raises AddressRefusedError when one of them is not
    for the public and not on the operator's list, UnreachableError when there is none."""
    found = (resolve or resolved)(host, port)
    if not found:
        raise UnreachableError(f"The host {host!r} has no address.")
    listed = allowed()
    if listed.has_name(host.lower(), port):
        return found
    for text in found:
        address = _address(text)
        if not (is_public(address) or listed.has_address(address, port)):
            raise AddressRefusedError(
                f"{host}:{port} leads to a private or reserved address. Whoever runs this LLMLab can allow it with"
                f" LLMLAB_OUTBOUND_ALLOW={host}:{port}."
            )
    return found


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])  # without a zone: fe80::1%eth0


def resolved(host: str, port: int) -> list[str]:
    """What the system's resolver says, within RESOLVE_SECONDS (getaddrinfo itself knows no limit)."""
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True, name="resolve").start()
    try:
        return answer.result(RESOLVE_SECONDS)
    except TimeoutError:
        raise OutboundTimeoutError(f"The address of {host!r} was not found in time.") from None
    except (OSError, UnicodeError):
        raise UnreachableError(f"The host {host!r} is not known.") from None


def check_target(target: Target, addresses: Iterable[str], ports: Collection[int] = ()) -> None:
    """What of these addresses nobody may call: by plain HTTP, or at other `ports`, only what the operator listed. The
    one rule of forms and of both clients. Raises AddressRefusedError."""
    found = list(addresses)
    check_scheme(target, found)
    if ports:
        check_port(target, found, ports)


def check_scheme(target: Target, addresses: Iterable[str]) -> None:
    """Plain HTTP only to what the operator listed. Raises AddressRefusedError."""
    listed = allowed()
    if target.scheme == "https" or listed.has_name(target.host.lower(), target.port):
        return
    if not all(listed.has_address(_address(one), target.port) for one in addresses):
        raise AddressRefusedError(
            f"{target.host} is only called with https://. Whoever runs this LLMLab can allow it with"
            f" LLMLAB_OUTBOUND_ALLOW={target.host}:{target.port}."
        )


def check_port(target: Target, addresses: Iterable[str], ports: Collection[int]) -> None:
    """Ports other than `ports` only of what the operator listed. Raises AddressRefusedError."""
    listed = allowed()
    if target.port in ports or listed.has_name(target.host.lower(), target.port):
        return
    if not all(listed.has_address(_address(one), target.port) for one in addresses):
        raise AddressRefusedError(
            f"{target.host} is only called at the ports {', '.join(map(str, sorted(ports)))}. Whoever runs this LLMLab"
            f" can allow it with LLMLAB_OUTBOUND_ALLOW={target.host}:{target.port}."
        )


def _check_inner(target: Target) -> None:
    """A name that nobody in public has, and that is not known here either. Raises AddressRefusedError."""
    host = target.host.lower()
    if ("." in host or ":" in host) and not host.endswith(_INNER):
        return
    if not allowed().has_name(host, target.port):
        raise AddressRefusedError(
            f"{host} is no public name, and not known here. Whoever runs this LLMLab can allow it with"
            f" LLMLAB_OUTBOUND_ALLOW={host}:{target.port}."
        )


def check_url(url: str, *, resolve: Resolver | None = None, ports: Collection[int] = ()) -> Target:
    """For a form: refuse what would never be called. A host that is not known (yet) passes: each call checks again.
    `ports`: the only ones that are called, unless the operator listed the host."""
    target = target_of(url)
    try:
        addresses = addresses_of(target.host, target.port, resolve)
    except (UnreachableError, OutboundTimeoutError):
        addresses = []
        _check_inner(target)
    check_target(target, addresses or ["192.0.2.1"], ports)
    return target
