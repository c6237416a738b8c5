"""A real SMTP server (aiosmtpd) on a free port: keeps what it took, refuses whom a test names."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.test import override_settings


@dataclass
class SmtpServer:
    """`refuse`: address to the answer it gets at RCPT; `data_answer`: what a whole message gets instead of 250."""

    refuse: dict[str, str] = field(default_factory=dict)
    data_answer: str = ""
    taken: list[tuple[str, Message]] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 0

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if answer := self.refuse.get(address.lower()):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer:
            return self.data_answer
        mail = BytesParser(policy=default).parsebytes(envelope.content)
        self.taken += [(address, mail) for address in envelope.rcpt_tos]
        return "250 Message accepted"

    def settings(self) -> dict[str, Any]:
        """Django's, to send there."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": self.host, "EMAIL_PORT": self.port, "EMAIL_HOST_USER": "", "EMAIL_HOST_PASSWORD": "",
            "EMAIL_USE_TLS": False, "EMAIL_TIMEOUT": 3,
        }  # fmt: skip


class _Controller(Controller):
    """One that takes any free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    """It lives as long as the block."""
    server = SmtpServer()
    controller = _Controller(server, hostname=server.host, port=0)
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    """A mail server that Django sends to."""
    with smtp_server() as server, override_settings(**server.settings()):
        yield server
