"""Malformed uploads: what is sent, to which door, and what must happen.

`cases(now)` builds them all, dated around `now`. Each body but the hopeless ones carries a good neighbour, which must
be stored whatever stands beside it. `python -m tests.traces.corpus` prints the index.
"""

from datetime import datetime

from tests.traces.corpus import (
    dialect_bodies,
    encodings,
    json_costs,
    json_traces,
    langfuse,
    otlp_json,
    otlp_protobuf,
)
from tests.traces.corpus.case import Case

__all__ = ["Case", "cases"]


def cases(now: datetime) -> list[Case]:
    """Every case, names unique."""
    modules = (
        *(encodings, otlp_protobuf, otlp_json, json_traces, json_costs, dialect_bodies),
        langfuse,
    )
    found = [case for module in modules for case in module.cases(now)]
    names = [case.name for case in found]
    assert len(names) == len(set(names)), "a case's name appears twice"
    return found
