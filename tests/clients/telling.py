"""How a client's program is run and what it tells: the same for every client.

`python -m tests.clients.<name>.program <provider address> <collector address> <key> [<scenario>…]` runs the scenarios
and prints, as JSON, what the SDK was told: trace id, model, usage, text or error.
"""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

# Every client that can say who and what for says this.
USER, SESSION, TAGS = "user-7", "session-3", ["shop", "beta"]


class Arguments(NamedTuple):
    """Where the simulated provider and LLMLab are, and with which key to send."""

    provider: str
    collector: str
    key: str
    scenarios: list[str]


def arguments() -> Arguments:
    return Arguments(*sys.argv[1:4], sys.argv[4:])


def tell(
    scenarios: dict[str, Callable[[], dict[str, Any]]],
    around: Callable[[str], AbstractContextManager[Callable[[], str]]],
    wanted: list[str],
) -> None:
    """Run the scenarios, each inside `around(name)`, which yields how to ask for the trace's id."""
    told = {}
    for name in wanted or list(scenarios):
        with around(name) as trace_id:
            told[name] = scenarios[name]()
            told[name]["trace_id"] = trace_id()
    sys.stdout.write("\n" + json.dumps(told) + "\n")
    sys.stdout.flush()
