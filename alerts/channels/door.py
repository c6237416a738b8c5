"""The one way from a channel to its receiver (core.posting), in the words of channels."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.channels.base import Retryable
from core.http import Reply
from core.outbound import AddressRefusedError, OutboundError
from core.posting import MAX_RETRY_AFTER_S, PORTS, Poster, retry_after, words_of

__all__ = ["MAX_RETRY_AFTER_S", "PORTS", "REFUSED_AGAIN_S", "Door", "failed", "retry_after"]
# A refused address may be a wrong DNS answer, or about to be allowed: asked again, but not every few seconds.
REFUSED_AGAIN_S = 300.0


@dataclass(frozen=True)
class Door(Poster):
    """Posts; what goes wrong is tried again."""

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer, whatever its status. Raises Retryable when there is none."""
        try:
            return self.request(url, content, headers)
        except AddressRefusedError as error:
            raise Retryable(error.detail, retry_after_s=REFUSED_AGAIN_S) from None
        except OutboundError as error:
            raise Retryable(error.detail) from None


def failed(name: str, reply: Reply, now: dt.datetime, answer: str = "") -> Retryable:
    """Any status that is neither success nor known to be permanent."""
    return Retryable(
        words_of(name, reply.status),
        retry_after_s=retry_after(reply, now),
        status=reply.status,
        answer=answer,
    )
