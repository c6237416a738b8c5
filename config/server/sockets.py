"""Websockets that cannot eat the memory: a reader or a sender that is too slow or too fast is dropped."""

import logging
from typing import TYPE_CHECKING, Any

from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

if TYPE_CHECKING:
    from config.server.child import BoundedServer

logger = logging.getLogger(__name__)
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013


def waiting_bytes(transport: Any) -> int:
    """What was written to a Twisted TCP transport and the client has not taken yet."""
    return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


class BoundedWebSocket(WebSocketProtocol):
    """One live page. Messages are hints, so a dropped reader reads the truth again after it reconnects."""

    server: "BoundedServer"

    def serverSend(self, content: Any, binary: bool = False) -> None:
        waiting = waiting_bytes(self.transport)
        if waiting > self.server.limits.socket_buffer:
            logger.warning("server.socket.slow_reader dropped with %d bytes unread", waiting)
            self.muted = True
            self.dropConnection(abort=True)
            return
        super().serverSend(content, binary)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.application_queue.qsize() >= self.server.limits.socket_backlog:
            self.close_with(TRY_AGAIN_LATER)
            return
        super().onMessage(payload, isBinary)

    def close_with(self, code: int) -> None:
        """Close with a code of the 101x range, which autobahn's public method refuses."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code)
        else:
            self.dropConnection(abort=True)


class BoundedWebSocketFactory(WebSocketFactory):
    protocol = BoundedWebSocket
