"""The fault matrix through the whole stack: web process, line, worker, journal, PostgreSQL. `python -m
benchmarks.gateway_faults`.

Every fault of gateway_fault_table at a local provider, asked for by clients of both wires and answered on both, whole
and streamed; and clients that leave after each event, under both policies. Every call must end for its client, and have
exactly one row with usage that is known, or estimated and flagged; or none because every try was refused or it never
began.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import psycopg

from benchmarks import gateway_fault_table as table
from benchmarks.gateway_fault_table import Fault
from benchmarks.gateway_sides import PROGRAMS
from benchmarks.stack import ROOT, START_SECONDS, Stack, machine
from config import children
from config.embedded.state import free_port

WIRES = ("chat", "messages")
DIALECTS = {"chat": "openai.chat", "messages": "anthropic.messages"}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
POLICIES = ("drain", "cancel")
AT_ONCE, SHORT_S, HANGS_S, SETTLE_S = 12, 2, 30.0, 30.0


class Cell(NamedTuple):
    """One call: of a client of one wire to a provider of one, and after how many events its client leaves."""

    client: str
    wire: str
    group: str
    fault: str
    leaves: int = -1
    timeout_s: int = 20

    @property
    def model(self) -> str:
        """The connection's name and what the provider is to do."""
        return f"{self.wire}/{self.group}.{self.fault}"


def cells(policy: str) -> list[Cell]:
    """All of them under the first policy, under the other only the clients that leave."""
    found = []
    for client in WIRES:
        for wire in WIRES:
            if policy == POLICIES[0]:
                for group, faults in (
                    ("stream", table.streams(wire)),
                    ("whole", table.wholes(wire)),
                ):
                    found += [
                        Cell(client, wire, group, name, timeout_s=SHORT_S if one.end == "silent" else 20)
                        for name, one in faults.items()
                    ]  # fmt: skip
            found += [
                Cell(client, wire, policy, f"{n}", n) for n in range(len(table.good(wire)) + 1)
            ]
    return found


# --- the provider


def fault_of(path: str, model: str) -> Fault:
    """What the model's name asks for on the path's wire."""
    wire = "messages" if path.endswith("/messages") else "chat"
    group, _, name = model.partition(".")
    if group in POLICIES:
        pieces = table.good(wire)
        return Fault(pieces, pause=len(pieces) - 2)
    return (table.streams(wire) if group == "stream" else table.wholes(wire))[name]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            fault = fault_of(head[0].split(" ")[1], json.loads(body)["model"])
            await table.play(fault, writer)


async def provide(port: int) -> None:
    """Until somebody kills it."""
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


# --- in the stack's environment


def seed(project_id: str, url: str) -> None:
    """Two connections to the provider, one of each wire, and a key, which is printed."""
    from django.utils import timezone

    from accounts.models import User
    from gateway.connections.services import create_connection
    from gateway.models import ProviderKind
    from projects.keys import create_api_key
    from projects.models import Project

    project = Project.objects.select_related("organization").get(pk=project_id)
    owner = User.objects.get(email="bench@example.com")
    for name, kind, address in (
        ("chat", ProviderKind.COMPATIBLE, f"{url}/v1"),
        ("messages", ProviderKind.ANTHROPIC, url),
    ):
        create_connection(
            organization=project.organization, kind=kind, name=name, base_url=address,
            secret="sk-bench-00000000000000000000",  # noqa: S106 - nobody's
            actor=owner, now=timezone.now(),
        )  # fmt: skip
    _, raw = create_api_key(project=project, name="Gateway", scopes=["gateway"], actor=owner)
    sys.stdout.write(raw + "\n")


def follow(project_id: str, policy: str) -> None:
    """What happens from now on with calls whose client left."""
    from gateway.models import GatewaySettings
    from gateway.snapshot import touch
    from projects.models import Project

    project = Project.objects.get(pk=project_id)
    GatewaySettings.objects.update_or_create(
        project=project, defaults={"rules": {"on_client_gone": policy}}
    )
    touch(project.organization_id)


# --- the clients


async def ask(http: httpx2.AsyncClient, cell: Cell) -> bool:
    """Make the call; whether it came to an end for its client."""
    body: dict[str, Any] = {"model": cell.model, "messages": [{"role": "user", "content": "Hi"}]}
    body |= {"stream": cell.group != "whole"} | (
        {"max_tokens": 100} if cell.client == "messages" else {}
    )
    try:
        async with (
            asyncio.timeout(HANGS_S),
            http.stream(
                "POST", PATHS[cell.client], json=body, headers={"x-llmlab-timeout": str(cell.timeout_s)}
            ) as answer,
        ):  # fmt: skip
            events = 0
            async for line in answer.aiter_lines():
                if events == cell.leaves:
                    return True
                events += line.startswith("data:")
    except TimeoutError:
        return False
    except httpx2.HTTPError:  # an end as well, if not a fine one
        return True
    return True


async def ask_all(url: str, key: str, wanted: list[Cell]) -> list[Cell]:
    """Make all calls, some at once; those that hung."""
    places, hung = asyncio.Semaphore(AT_ONCE), list[Cell]()
    headers = {"authorization": f"Bearer {key}"}

    async def one(http: httpx2.AsyncClient, cell: Cell) -> None:
        async with places:
            if not await ask(http, cell):
                hung.append(cell)

    async with httpx2.AsyncClient(
        base_url=url, headers=headers, timeout=None, trust_env=False
    ) as http:
        await asyncio.gather(*(one(http, cell) for cell in wanted))
    return hung


# --- what became of them

_ROWS = """
SELECT dialect, asked_model, state, status_code, attempts, input_tokens, output_tokens, flags
FROM gateway_llmrequest
"""


def verdicts(database: "psycopg.Connection[Any]", wanted: list[Cell]) -> dict[Cell, str]:
    """How each call is on record, once all are there or nothing more comes."""
    end = time.monotonic() + SETTLE_S
    while True:
        rows: dict[tuple[str, str], list[Any]] = {}
        for row in database.execute(_ROWS).fetchall():
            rows.setdefault((row[0], row[1]), []).append(row[2:])
        told = {
            cell: _verdict(rows.get((DIALECTS[cell.client], cell.model), [])) for cell in wanted
        }
        if "no row" not in told.values() or time.monotonic() > end:
            return told
        time.sleep(0.25)


def _verdict(rows: list[Any]) -> str:
    if len(rows) != 1:
        return "several rows" if rows else "no row"
    state, status, attempts, given, got, flags = rows[0]
    if "usage_estimated" in flags:
        return "estimated" if given else "NOT ACCOUNTED"
    if given and got is not None:
        return "known"
    if state in ("cancelled", "expired") and not attempts:
        return "never begun"
    return "refused" if state == "failed" and status >= 400 and given is None else "NOT ACCOUNTED"


FINE = ("known", "estimated", "refused", "never begun")


def report(told: dict[Cell, str], hung: list[Cell]) -> bool:
    """Print the counts; whether nothing is missing."""
    groups: dict[tuple[str, str, str], Counter[str]] = {}
    for cell, verdict in told.items():
        groups.setdefault((cell.client, cell.wire, cell.group), Counter())[verdict] += 1
    print(
        f"{'client → provider':<24}{'group':<10}{'calls':>6}"
        + "".join(f"{one:>13}" for one in FINE)
    )
    for (client, wire, group), counts in groups.items():
        line = "".join(f"{counts[one]:>13}" for one in FINE)
        print(f"{client + ' → ' + wire:<24}{group:<10}{counts.total():>6}{line}")
    wrong = {cell: verdict for cell, verdict in told.items() if verdict not in FINE}
    for cell, verdict in wrong.items():
        print(f"{verdict}: {cell.client} → {cell.model}")
    for cell in hung:
        print(f"HUNG: {cell.client} → {cell.model}")
    is_met = not wrong and not hung
    right = len(told) - len(wrong)
    print(
        f"{len(told)} calls, {right} recorded once: usage known, estimated and flagged, or none was used"
    )
    print(f"{len(hung)} hung")
    print("met" if is_met else "MISSED (100 %, none hung)")
    return is_met


@contextmanager
def provider() -> Iterator[str]:
    """In a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway_faults", "--provide", str(port)],
        cwd=ROOT, preexec_fn=children.die_with_parent(signal.SIGTERM),
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def run() -> bool:
    """All of it."""
    print(machine())
    with provider() as url:
        environ = {"LLMLAB_OUTBOUND_ALLOW": urlsplit(url).netloc, "CELERY_SKIP_CHECKS": "1"}
        with Stack(processes=1, environ=environ) as stack:
            me = ["-m", "benchmarks.gateway_faults"]
            key = stack._run(*me, "--seed", stack.project_id, url).strip()
            stack._spawn("llm", PROGRAMS["llm"])
            told: dict[Cell, str] = {}
            hung: list[Cell] = []
            for policy in POLICIES:
                stack._run(*me, "--follow", stack.project_id, policy)
                time.sleep(START_SECONDS / 60)  # the snapshots of all processes are newer then
                wanted = cells(policy)
                hung += asyncio.run(ask_all(stack.url, key, wanted))
                told |= verdicts(stack.connect(), wanted)
            return report(told, hung)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provide", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--follow", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.provide:
        asyncio.run(provide(given.provide))
        return 0
    if given.seed or given.follow:
        import django

        django.setup()
        if given.seed:
            seed(*given.seed)
        else:
            follow(*given.follow)
        return 0
    return 0 if run() else 1


if __name__ == "__main__":
    raise SystemExit(main())
