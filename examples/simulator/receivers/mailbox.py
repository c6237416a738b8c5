"""A local SMTP server that takes every mail and keeps it beside what the other receivers were sent."""

from email.parser import BytesParser
from email.policy import default
from typing import Any

from examples.simulator.receivers import kept


class Mailbox:
    """aiosmtpd's handler."""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = BytesParser(policy=default).parsebytes(envelope.content)
        text = mail.get_body(("plain", "html"))
        kept.note(
            "mail",
            to=list(envelope.rcpt_tos),
            headers={name.lower(): str(value) for name, value in mail.items()},
            body={"text": text.get_content() if text else ""},
            status=250,
        )
        return "250 Message accepted"


async def serve(host: str, port: int) -> Any:
    """Starts the server in this loop; port 0 takes a free one. Raises ImportError without aiosmtpd."""
    import asyncio

    from aiosmtpd.smtp import SMTP  # of the development requirements: only who asks for it needs it

    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: SMTP(Mailbox(), hostname="simulator"), host, port)
