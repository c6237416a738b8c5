"""`llmlab doctor`: why nothing arrives, line by line, each with what to do."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import typer
from rich.text import Text

from llmlab.cli import output, profiles
from llmlab.cli.api import Api, Refused, clock_of
from llmlab.cli.errors import FOUND, CliError
from llmlab.cli.live import connect
from llmlab.cli.profiles import Profile
from llmlab.cli.session import profile_of
from llmlab.cli.spans_of_time import utc_now
from llmlab.version import __version__

OK, WARN, FAIL = "ok", "warn", "fail"
STYLES = {OK: "green", WARN: "yellow", FAIL: "red"}


class Line(NamedTuple):
    """One check: what was looked at, how it is, and what to do when it is not well."""

    name: str
    state: str
    found: str
    todo: str = ""


def doctor(
    context: typer.Context,
    spool_dir: Annotated[
        Optional[Path],
        typer.Option(
            "--spool-dir",
            help="Where the SDK's spool lies; LLMLAB_SPOOL_DIR when left out.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check address, key, scopes, clock, versions, websocket and spool. Exit code 1 when something fails."""
    lines = list(_lines(context, spool_dir or _spool_from_environment()))
    if as_json:
        output.print_json([line._asdict() for line in lines])
    else:
        for line in lines:
            _print(line)
    if any(line.state == FAIL for line in lines):
        raise typer.Exit(FOUND)


def _spool_from_environment() -> Optional[Path]:
    given = os.environ.get("LLMLAB_SPOOL_DIR", "").strip()
    return Path(given) if given else None


def _print(line: Line) -> None:
    text = Text(f"{line.state:<5}", style=STYLES[line.state])
    text.append(f"{line.name:<10} {output.clean(line.found)}", style="default")
    output.console().print(text, soft_wrap=True)
    if line.todo:
        output.console().print(Text(f"     {line.todo}", style="dim"), soft_wrap=True)


def _lines(context: typer.Context, spool_dir: Optional[Path]) -> Iterator[Line]:
    try:
        profile = profile_of(context)
    except CliError as error:
        yield Line("login", FAIL, error.message, "llmlab login")
        yield from spool_lines(spool_dir)
        return
    where = {"keyring": "the keyring", "environment": "LLMLAB_API_KEY"}.get(
        profile.key_in, str(profiles.config_file())
    )
    yield Line("login", OK, f"profile {profile.name}, key {profile.key[:14]}… from {where}")
    try:
        api = Api(profile.address, profile.key, profile.project, timeout=10, tries=1)
        reply = api.once("GET", "/healthz")
    except CliError as error:
        yield Line(
            "address",
            FAIL,
            error.message,
            "Check LLMLAB_BASE_URL, firewall and proxy; open the address in a browser.",
        )
        yield from spool_lines(spool_dir)
        return
    document = reply.json()
    if reply.status != 200 or not isinstance(document, dict) or document.get("service") != "llmlab":
        found = f"{api.address} answers {reply.status}, but not as LLMLab"
        yield Line(
            "address",
            FAIL,
            found,
            "Check the address: it is where the pages of LLMLab are, without a path.",
        )
        return
    yield Line("address", OK, f"{api.address} is LLMLab")
    yield clock_line(clock_of(reply), utc_now())
    yield version_line(str(document.get("version", "")))
    yield from _key_lines(api, profile)
    yield from spool_lines(spool_dir)


def clock_line(said: Optional[dt.datetime], now: dt.datetime) -> Line:
    """A wrong clock puts traces into the wrong hour; a day off, and the server refuses them."""
    if said is None:
        return Line("clock", WARN, "the server does not say its time", "It is older: upgrade it.")
    off = (now - said).total_seconds()
    if abs(off) < 5:
        return Line("clock", OK, "this machine and the server agree")
    way = "ahead of" if off > 0 else "behind"
    found = f"this machine is {output.length(abs(off) * 1_000)} {way} the server"
    state = WARN if abs(off) < 300 else FAIL
    return Line(
        "clock",
        state,
        found,
        "Switch on time synchronisation (NTP) on the machine whose clock is wrong.",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def version_line(server: str) -> Line:
    """The SDK and the server go together by major and minor version."""
    found = f"server {server or 'unknown'}, SDK {__version__}"
    mine, theirs = _numbers(__version__), _numbers(server)
    if not theirs or mine == theirs:
        return Line("versions", OK if theirs else WARN, found)
    if mine > theirs:
        return Line(
            "versions",
            WARN,
            found,
            "The server is older and may refuse what this SDK sends: upgrade the server.",
        )
    return Line(
        "versions",
        WARN,
        found,
        "The server is newer, which works; for its new features: pip install -U llmlab",
    )


def _key_lines(api: Api, profile: Profile) -> Iterator[Line]:
    try:
        project = _project(api)
    except CliError as error:
        yield Line(
            "key", FAIL, error.message, "Make a key in Settings, API keys; then: llmlab login"
        )
        return
    api.project = project or api.project
    try:
        scopes, ends = _scopes(api, can_read=bool(project))
    except CliError as error:
        yield Line("key", FAIL, error.message)
        return
    words = f"valid for project {api.project or '?'}; scopes: {', '.join(scopes) or 'none'}"
    missing = [scope for scope in ("ingest", "read") if scope not in scopes]
    todo = f"Without {' and '.join(missing)} it cannot {_cannot(missing)}." if missing else ""
    yield Line("key", WARN if missing else OK, words, todo)
    if ends is not None and ends - utc_now() < dt.timedelta(days=14):
        yield Line(
            "key",
            WARN,
            f"it ends {output.clock(ends.isoformat())}",
            "llmlab keys rotate makes its successor.",
        )
    if "read" in scopes:
        yield websocket_line(api)


def _cannot(missing: list[str]) -> str:
    return " and ".join(
        {"ingest": "send traces", "read": "list, tail or export"}[scope] for scope in missing
    )


def _project(api: Api) -> str:
    """The key's project; empty when the key may not read."""
    try:
        rows = api.get("/api/v1/projects")["results"]
    except Refused as error:
        if error.error_code != "missing_scope":
            raise
        return ""
    return str(rows[0]["slug"]) if rows else ""


def _scopes(api: Api, *, can_read: bool) -> tuple[list[str], Optional[dt.datetime]]:
    """Asked for by name where the key may list keys; else by trying what each scope opens, which changes nothing."""
    try:
        for page in api.pages(api.path("keys"), {"limit": 200}):
            for row in page["results"]:
                if api.key.startswith(row["prefix"]) and not row["revoked_at"]:
                    return list(row["scopes"]), output.moment(row["expires_at"])
    except Refused as error:
        if error.error_code not in ("missing_scope", "forbidden"):
            raise
    found = ["read"] if can_read else []
    try:
        api.post(api.path("costs"), {"costs": []}, is_repeatable=True)
        found.insert(0, "ingest")
    except Refused as error:
        if error.status != 403:
            raise
    return found, None


def websocket_line(api: Api) -> Line:
    """Whether live news come through proxies on the way."""
    try:
        with connect(api, timeout=10):
            return Line("websocket", OK, "connected")
    except CliError as error:
        return Line("websocket", FAIL, error.message)
    except Exception as error:
        found = f"it cannot be opened ({type(error).__name__}: {error})"
        return Line(
            "websocket",
            FAIL,
            found,
            "Let the proxy pass Upgrade requests below /ws/ (docs/operations.md).",
        )


def spool_lines(directory: Optional[Path]) -> Iterator[Line]:
    """Files of programs that ended before all was sent; the next start of a program with this spool sends them."""
    if directory is None:
        yield Line("spool", OK, "off (no LLMLAB_SPOOL_DIR here)")
        return
    if not directory.is_dir():
        yield Line(
            "spool",
            WARN,
            f"{directory} is no directory",
            "The SDK makes it at its first start; check the path.",
        )
        return
    left = [path for path in directory.glob("*.jsonl") if _is_abandoned(path)]
    size = sum(path.stat().st_size for path in left)
    if not left:
        yield Line("spool", OK, f"{directory} holds nothing of programs that ended")
        return
    found = f"{directory} holds {len(left)} files, {size:,} bytes of programs that ended"
    yield Line(
        "spool",
        WARN,
        found,
        "The next start of a program with this spool sends them; or: llmlab import FILE",
    )


def _is_abandoned(path: Any) -> bool:
    """Nobody holds its lock."""
    try:
        import fcntl

        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except (OSError, ImportError):
        return False
