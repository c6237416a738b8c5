"""The local PostgreSQL and Redis of `make run` and of the tests, kept under one data directory.

`config.settings` asks only for secrets and addresses. What was chosen once, the ports and the
passwords, is remembered in the data directory, so that every `manage.py` command finds the
running services.
"""

from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.embedded.run import Service, spawn, start, stop_orphan, wait_ready
from config.embedded.state import (
    EmbeddedError,
    choose_port,
    database_url,
    free_port,
    is_port_free,
    local_secrets,
    redis_url,
)

__all__ = [
    "EmbeddedError",
    "Postgres",
    "Redis",
    "Service",
    "choose_port",
    "database_url",
    "free_port",
    "is_port_free",
    "local_secrets",
    "redis_url",
    "spawn",
    "start",
    "stop_orphan",
    "wait_ready",
]
