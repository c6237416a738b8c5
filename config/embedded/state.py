"""What the data directory remembers of the embedded services: secrets, ports, addresses.

No Django here: settings import it.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import secrets
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
ROLE = DATABASE = "llmlab"
PREFERRED_PORTS = {"postgres": 54329, "redis": 63799}
PORT_VARIABLES = {"postgres": "LLMLAB_PG_PORT", "redis": "LLMLAB_REDIS_PORT"}


class EmbeddedError(RuntimeError):
    """An embedded service cannot start; the message says what to do."""


# --- What the data directory remembers


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EmbeddedError(
            f"{path} cannot be read ({error}). Restore it from a backup, or name other services."
        ) from None
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace the file in one step, readable by its owner only."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(value, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def all_secrets(data_dir: Path) -> dict[str, str]:
    """Every secret of this data directory; what is missing is made, by one process only."""
    path = data_dir / "secrets.json"
    wanted: dict[str, Callable[[], str]] = {
        "secret_key": lambda: secrets.token_urlsafe(50),
        "encryption_key": lambda: b64encode(secrets.token_bytes(32)).decode(),
        "postgres_password": lambda: secrets.token_urlsafe(24),
        "database_password": lambda: secrets.token_urlsafe(24),
        "redis_password": lambda: secrets.token_urlsafe(24),
    }
    known = read_json(path)
    if wanted.keys() <= known.keys():
        return known
    with locked(data_dir):
        known = read_json(path)  # another process may have been faster
        known = {name: make() for name, make in wanted.items()} | known
        write_json(path, known)
    return known


def local_secrets(data_dir: Path) -> tuple[str, str]:
    """Django's secret key and the base64 of a 32-byte encryption key, made once per data directory."""
    known = all_secrets(data_dir)
    return known["secret_key"], known["encryption_key"]


def port_of(data_dir: Path, service: str) -> int:
    """The port of `postgres` or `redis`: the variable, else the remembered one, else the preferred one."""
    text = os.environ.get(PORT_VARIABLES[service], "")
    if text:
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise EmbeddedError(
                f"{PORT_VARIABLES[service]}={text!r} must be a port number between 1 and 65535."
            )
        return int(text)
    return int(read_json(data_dir / "ports.json").get(service, PREFERRED_PORTS[service]))


def database_url(data_dir: Path) -> str:
    """Where the embedded PostgreSQL of this data directory answers when it runs."""
    password = all_secrets(data_dir)["database_password"]
    return f"postgres://{ROLE}:{password}@{HOST}:{port_of(data_dir, 'postgres')}/{DATABASE}"


def redis_url(data_dir: Path) -> str:
    """Where the embedded Redis of this data directory answers when it runs."""
    return (
        f"redis://:{all_secrets(data_dir)['redis_password']}@{HOST}:{port_of(data_dir, 'redis')}/0"
    )


def is_port_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def choose_port(data_dir: Path, service: str) -> int:
    """The service's port, or a free one (remembered) when another program took it. Call it when the service is down."""
    port = port_of(data_dir, service)
    if is_port_free(port):
        pass
    elif os.environ.get(PORT_VARIABLES[service]):
        raise EmbeddedError(
            f"Port {port} ({PORT_VARIABLES[service]}) is taken by another program. Choose another one."
        )
    else:
        port = free_port()
    with locked(data_dir):
        ports = read_json(data_dir / "ports.json")
        if ports.get(service) != port:
            write_json(data_dir / "ports.json", ports | {service: port})
    return port


def package_dir(package: str, missing: str) -> Path:
    # The package is located, not imported: both do work on import that we have no use for.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"{missing} Install requirements.txt (`make run` does).")
    return Path(spec.origin).parent
