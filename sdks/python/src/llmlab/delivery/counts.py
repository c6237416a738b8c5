"""What became of everything that was recorded."""

from __future__ import annotations


class Counts:
    """Each number has one writing thread, so none needs a lock."""

    __slots__ = (
        "announced",
        "dropped",
        "forgotten",
        "lost",
        "overrun",
        "recorded",
        "rejected",
        "retries",
        "sent",
    )

    def __init__(self) -> None:
        self.recorded = 0  # ended steps and scores the encoder saw
        self.sent = 0  # acknowledged by the server
        self.announced = 0  # running steps shown live; not part of the others
        self.rejected = 0  # refused by the server for what they are
        self.dropped = 0  # gave way because the queue was full
        self.overrun = 0  # dropped before they were even encoded; written by callers
        self.forgotten = 0  # unsampled
        self.lost = 0  # still waiting when the program ended, without a spool
        self.retries = 0  # requests sent again
