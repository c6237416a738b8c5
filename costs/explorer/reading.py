"""A day's calls read from the ledger into columns: for answers about days that still move, and for keeping.

One statement, so one snapshot, of only the columns that are asked for.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from django.db import connection

from costs.breakdown import lines_of
from costs.explorer.packing import UNITS, Column, encode, halves, narrow

TEXTS = {
    "provider": "c.provider",
    "model": "c.model",
    "environment": "c.environment",
    "agent": "c.agent",
    "feature": "c.feature",
    "user": "c.user_id",
    "api_key": "coalesce(c.api_key_id::text, '')",
    "prompt_version": "c.prompt_version",
    "service_tier": "c.service_tier",
    "operation": "c.operation",
    "price_status": "c.price_status",
}
_TAGS = "coalesce(to_json(c.tags)::text, '[]')"
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
NUMBERS = {
    "hour": "extract(hour FROM c.occurred_at AT TIME ZONE 'UTC')::int",
    **{name: f"coalesce(c.{name}, 0)" for name in TOKENS},
}
# bits of `flags`
ERROR, UNPRICED, ESTIMATED = 1, 2, 4
_FLAGS = f"{ERROR} * c.is_error::int + {UNPRICED} * (c.cost_usd IS NULL)::int + {ESTIMATED} * c.is_estimated::int"
# Which call a session or trace belongs to is told apart by 64 bits of its id, the id itself is not kept.
HASHES = {
    "session": "CASE WHEN c.session_id = '' THEN 0 ELSE hashtextextended(c.session_id, 0) END",
    "trace": "CASE WHEN c.trace_id = '' THEN 0 ELSE hashtextextended(c.trace_id, 0) END",
}
# What is made of what is selected: parts of a day that are read and kept together.
PARTS: dict[str, tuple[str, ...]] = {
    **{name: (name, f"{name}.texts") for name in TEXTS},
    **{name: (name,) for name in NUMBERS},
    "flags": ("flags",),
    "cost": ("cost.high", "cost.low"),
    **{name: (name, f"{name}.hashes") for name in HASHES},
    # Lines of one token class behind those of another, each class by call; how many lines each class has. A class that
    # every call has a line of says no calls.
    "lines": ("line.class", "line.class.texts", "line.sizes", "line.row", "line.quantity", "line.high", "line.low"),
    "saved": ("saved.state", "saved.high", "saved.low"),
    # The list of each call; how many tags each list has, and these one behind the other.
    "tags": ("tags", "tags.sizes", "tags.items", "tags.items.texts"),
}  # fmt: skip
# Facts without this column were kept in an older form.
NEWEST = "line.sizes"
NOTHING_READ, SAVED, SAVED_UNKNOWN = 0, 1, 2
# Remainders up to this are a line's digits beyond the twelfth.
_ROUNDING = 1000
_COST = "CASE WHEN abs(c.cost_usd) < 9000000 THEN (c.cost_usd * 1000000000000)::bigint END"
_BREAKDOWN = ("c.breakdown::text", "c.cost_usd::text", *(NUMBERS[name] for name in TOKENS[:4]))
_READ = """
SELECT {columns},
  (SELECT coalesce(sum(a.calls), 0)::bigint FROM costs_costdailyaggregate a
   WHERE a.project_id = %s AND a.dimension = 'all' AND a.hour = %s) AS calls
FROM costs_costrecord c WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s
"""


# Both in one snapshot: calls that were taken out meanwhile are no calls that are gone.
_IS_GONE = """
SELECT EXISTS (SELECT 1 FROM costs_costdailyaggregate a
    WHERE a.project_id = %s AND a.dimension = 'all' AND a.hour = %s AND a.calls > 0)
  AND NOT EXISTS (SELECT 1 FROM costs_costrecord c
    WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s)
"""


class RecordsGoneError(Exception):
    """Retention removed records of the day; only its sums are left."""


def _selected(parts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The SQL behind each part."""
    found: dict[str, tuple[str, ...]] = {}
    for part in parts:
        if part in TEXTS:
            found[part] = (TEXTS[part],)
        elif part in NUMBERS:
            found[part] = (NUMBERS[part],)
        elif part in HASHES:
            found[part] = (HASHES[part],)
        elif part == "flags":
            found[part] = (_FLAGS,)
        elif part == "tags":
            found[part] = (_TAGS,)
        elif part == "cost":
            found[part] = (_COST, f"CASE WHEN ({_COST}) IS NULL THEN c.cost_usd END")
        else:
            found[part] = _BREAKDOWN
    return found


def read_day(project_id: UUID, day: dt.date, parts: Sequence[str]) -> tuple[int, dict[str, Column]]:
    """How many calls the day has, and the columns of `parts`. One query, two for a day without calls.

    Raises RecordsGoneError when there are fewer records than the sums count.
    """
    selected = _selected(parts)
    expressions = [one for many in selected.values() for one in many]
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    sql = _READ.format(columns=", ".join(expressions) or "1")
    with connection.cursor() as cursor:
        cursor.execute(sql, [project_id, start, project_id, start, start + dt.timedelta(days=1)])
        rows = cursor.fetchall()
        if not rows:
            cursor.execute(
                _IS_GONE, [project_id, start, project_id, start, start + dt.timedelta(days=1)]
            )
            is_gone = cursor.fetchone() == (True,)
        else:
            is_gone = len(rows) < rows[0][-1]
    if is_gone:
        raise RecordsGoneError
    columns: list[Sequence[Any]] = (
        list(zip(*rows, strict=True)) if rows else [()] * (len(expressions) + 1)
    )
    found: dict[str, Column] = {}
    at = 0
    for part, sources in selected.items():
        found |= _built(part, columns[at : at + len(sources)])
        at += len(sources)
    return len(rows), found


def _built(part: str, sources: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """A part's columns from what was selected for it."""
    if part in TEXTS:
        codes, texts = encode(sources[0])
        return {part: codes, f"{part}.texts": texts}
    if part in HASHES:
        hashes, codes = np.unique(np.array(sources[0], dtype=np.int64), return_inverse=True)
        return {part: narrow(codes), f"{part}.hashes": hashes}
    make: dict[str, Callable[[Sequence[Sequence[Any]]], dict[str, Column]]] = {
        "cost": _cost,
        "lines": _lines,
        "saved": _saved,
        "tags": _tags,
    }
    if part in make:
        return make[part](sources)
    return {part: narrow(np.array(sources[0], dtype=np.int64))}


def _tags(sources: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """Lists with the same tags are one, whatever their order; one without tags has the tag ""."""
    codes, texts = encode(sources[0])
    seen: dict[tuple[str, ...], int] = {}
    decode = msgspec.json.Decoder(list[str]).decode
    lists = [tuple(sorted(set(decode(text)))) or ("",) for text in texts]
    own = np.array([seen.setdefault(tags, len(seen)) for tags in lists], dtype=np.int64)
    items, tags = encode(tag for tags in seen for tag in tags)
    return {
        "tags": narrow(own[codes]),
        "tags.sizes": narrow(np.array([len(tags) for tags in seen], dtype=np.int64)),
        "tags.items": items,
        "tags.items.texts": tags,
    }


def _cost(sources: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """Unpriced calls hold 0 and carry their flag."""
    small, large = sources
    high, low = halves(
        unit if unit is not None else int(big * UNITS) if big is not None else 0
        for unit, big in zip(small, large, strict=True)
    )
    return {"cost.high": narrow(high), "cost.low": narrow(low)}


def units_of(text: str) -> int:
    """A plain decimal in 1e-12 USD, rounded half to even where it has more digits."""
    whole, _, fraction = text.partition(".")
    if len(fraction) <= 12 and whole[:1] != "-":
        return int(whole + fraction.ljust(12, "0"))
    return int((Decimal(text) * UNITS).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _parsed(breakdown: str) -> list[list[str]]:
    """class, quantity, unit price, cost of each line."""
    if breakdown[:1] == '"':
        return [line.split(" ") for line in breakdown[1:-1].split(";") if line]
    return [
        [line["class"], line["quantity"], line["unit_price_usd"], line["cost_usd"]]
        for line in lines_of(breakdown)
    ]


def _classes(breakdown: str, cost: str | None, tokens: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Class → quantity and cost, which add up to the call's cost exactly. What no line explains has the class ""; a
    call without lines says its tokens."""
    found: dict[str, tuple[int, int]] = {}
    for name, quantity, _, amount in _parsed(breakdown):
        before = found.get(name, (0, 0))
        found[name] = (before[0] + int(Decimal(quantity)), before[1] + units_of(amount))
    if not found:
        given, output, cache_read, cache_write = tokens
        counts = {
            "input": max(0, given - cache_read - cache_write),
            "cache_read": cache_read,
            "cache_write": cache_write,
            "output": output,
        }
        found = {name: (count, 0) for name, count in counts.items() if count}
    if cost is None:
        return {name: (count, 0) for name, (count, _) in found.items()} or {"": (0, 0)}
    rest = units_of(cost) - sum(amount for _, amount in found.values())
    if rest and abs(rest) <= _ROUNDING and any(amount for _, amount in found.values()):
        largest = max(found, key=lambda name: found[name][1])
        found[largest] = (found[largest][0], found[largest][1] + rest)
    elif rest or not found:
        found[""] = (0, rest)
    return found


def _lines(sources: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """One line per call and token class: those of one class behind those of another."""
    classes: dict[str, tuple[list[int], list[int], list[int]]] = {}
    for place, (breakdown, cost, *tokens) in enumerate(zip(*sources, strict=True)):
        for name, (quantity, amount) in _classes(breakdown, cost, tokens).items():
            places, quantities, amounts = classes.setdefault(name, ([], [], []))
            places.append(place)
            quantities.append(quantity)
            amounts.append(amount)
    lists = list(classes.values())
    some = chain.from_iterable(one[0] for one in lists if len(one[0]) < len(sources[0]))
    high, low = halves(chain.from_iterable(one[2] for one in lists))
    return {
        "line.class": narrow(np.arange(len(lists))),
        "line.class.texts": list(classes),
        "line.sizes": narrow(np.array([len(one[0]) for one in lists], dtype=np.int64)),
        "line.row": narrow(np.array(list(some), dtype=np.int64)),
        "line.quantity": narrow(
            np.array(list(chain.from_iterable(one[1] for one in lists)), dtype=np.int64)
        ),
        "line.high": narrow(high),
        "line.low": narrow(low),
    }


def _saved(sources: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """What cache reads saved: their tokens at the call's own input price, less what they cost. Unknown where the call
    has no input line to take the price from, or no price."""
    states, amounts = [], []
    for breakdown, cost, _, _, cache_read, _ in zip(*sources, strict=True):
        state, amount = NOTHING_READ, 0
        if cache_read:
            state = SAVED_UNKNOWN
            lines = {line[0]: line for line in _parsed(breakdown)}
            if cost is not None and "input" in lines and "cache_read" in lines:
                _, quantity, _, spent = lines["cache_read"]
                full = Decimal(quantity) * Decimal(lines["input"][2])
                state, amount = SAVED, units_of(f"{full - Decimal(spent):f}")
        states.append(state)
        amounts.append(amount)
    high, low = halves(amounts)
    return {
        "saved.state": narrow(np.array(states, dtype=np.int64)),
        "saved.high": narrow(high),
        "saved.low": narrow(low),
    }
