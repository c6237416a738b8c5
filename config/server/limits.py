"""The numbers the launcher enforces."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one web process. Seconds and bytes."""

    max_body: int = 8 * MIB
    # Of calls to models: images and documents travel in them.
    gateway_body: int = 32 * MIB
    # Of files for providers, which are kept on disk on their way and never in memory as a whole.
    file_body: int = 512 * MIB
    # All bodies being received or waiting for their answer, per process; files apart.
    max_buffered: int = 128 * MIB
    max_spooled: int = 2048 * MIB
    header_seconds: float = 15.0
    idle_seconds: float = 30.0
    # A body may take this long plus its size at the slowest accepted rate.
    body_seconds: float = 20.0
    body_bytes_per_second: int = 16 * 1024
    # What an answer may have waiting in memory for a client that reads more slowly than it is written.
    answer_buffer: int = MIB
    drain_seconds: float = 20.0
    linger_seconds: float = 5.0
    socket_message: int = 64 * 1024
    socket_buffer: int = 4 * MIB
    socket_backlog: int = 200
    ping_interval: int = 20
    ping_timeout: int = 30
    # Requests inside Django at once (its threads and database connections), and how many may wait for a place.
    concurrency: int = 8
    waiting: int = 256
