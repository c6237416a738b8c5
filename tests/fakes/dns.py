"""A DNS server on UDP whose answers change from question to question, and a resolver that asks it."""

import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

A, AAAA = 1, 28


@dataclass
class DnsStub:
    """`names`: the address lists that a name answers with, one per question (of either type), the last one for good."""

    names: dict[str, list[list[str]]]
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    port: int = 0

    def answer(self, packet: bytes) -> bytes:
        name, end = _name(packet)
        kind = struct.unpack("!H", packet[end : end + 2])[0]
        lists = self.names.get(name, [[]])
        place = min(self.asked[name] // 2, len(lists) - 1)  # A and AAAA are one question
        self.asked[name] += 1
        version = 4 if kind == A else 6
        found = [ip_address(one) for one in lists[place] if ip_address(one).version == version]
        head = packet[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        body = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(one.packed)) + one.packed
            for one in found
        )
        return head + packet[12 : end + 4] + body

    def resolve(self, host: str, _port: int) -> list[str]:
        """For OutboundClient and Door: literals as they are, names from this server."""
        try:
            return [str(ip_address(host))]
        except ValueError:
            return [*self._ask(host, A), *self._ask(host, AAAA)]

    def _ask(self, host: str, kind: int) -> list[str]:
        labels = b"".join(
            bytes([len(part)]) + part.encode() for part in host.lower().rstrip(".").split(".")
        )
        question = (
            struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0)
            + labels
            + b"\0"
            + struct.pack("!HH", kind, 1)
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.settimeout(5)
            wire.sendto(question, ("127.0.0.1", self.port))
            packet = wire.recv(4096)
        count, at, size = struct.unpack("!H", packet[6:8])[0], len(question), 4 if kind == A else 16
        step = 12 + size
        return [
            str(ip_address(packet[at + step * n + 12 : at + step * (n + 1)])) for n in range(count)
        ]


def _name(packet: bytes) -> tuple[str, int]:
    at, labels = 12, []
    while size := packet[at]:
        labels.append(packet[at + 1 : at + 1 + size].decode())
        at += size + 1
    return ".".join(labels), at + 1


@contextmanager
def dns_stub(names: dict[str, list[list[str]]]) -> Iterator[DnsStub]:
    """It lives as long as the block."""
    stub = DnsStub(names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        stub.port = wire.getsockname()[1]

        def serve() -> None:
            while True:
                packet, where = wire.recvfrom(4096)
                if packet == b"stop":
                    return
                wire.sendto(stub.answer(packet), where)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
                bell.sendto(b"stop", ("127.0.0.1", stub.port))
            thread.join(5)
