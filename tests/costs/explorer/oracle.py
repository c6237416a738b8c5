"""The explorer's answers worked out the slow and plain way, from ledger rows in Python."""

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.ranges import floor
from costs.explorer.ask import Answer, Question
from costs.models import CostRecord
from costs.usage import ChargeableCall, Usage

START = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
TAGS = ("beta", "eu", "customer:acme", "customer:zeta", "team:red", "team:blue")
MODELS = (("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-4-5"), ("acme", "acme-70b"))
INPUTS = ("input", "cache_")


def random_call(chance: random.Random, number: int, *, days: int = 3) -> ChargeableCall:
    """A call with everything that can be asked about, some of it missing."""
    provider, model = chance.choice(MODELS)
    read = chance.choice([0, 0, 300])
    tags = chance.sample(TAGS, chance.randrange(4))
    return ChargeableCall(
        record_id=f"r{number}",
        occurred_at=START + dt.timedelta(seconds=chance.randrange(days * 86_400)),
        trace_id=chance.choice(["", *(f"t{n}" for n in range(12))]),
        provider=provider,
        model=model,
        request_model=model,
        operation=chance.choice(["chat", "embeddings"]),
        service_tier=chance.choice(["", "flex"]),
        usage=chance.choice(
            [
                None,
                Usage(
                    input_tokens=read + chance.randrange(2000),
                    output_tokens=chance.randrange(500),
                    cache_read_input_tokens=read,
                ),
                Usage(
                    input_tokens=500 + chance.randrange(2000),
                    output_tokens=chance.randrange(500),
                    cache_read_input_tokens=read,
                    cache_write_input_tokens=100,
                ),
            ]
        ),
        client_cost_usd=chance.choice([None, None, Decimal("0.123456789012")]),
        is_error=chance.random() < 0.2,
        environment=chance.choice(["", "production"]),
        agent=chance.choice(["", "planner", "writer"]),
        user_id=chance.choice(["", "ada", "bob", "eve"]),
        session_id=chance.choice(["", "s1", "s2", "s3", "s4"]),
        feature=chance.choice(["", "search", "chat"]),
        prompt_version=chance.choice(["", "v1", "v2"]),
        tags=tuple(tags),
    )


def _named(record: CostRecord, prefix: str) -> str:
    return min((t[len(prefix) :] for t in record.tags if t.startswith(prefix)), default="")


def _values(record: CostRecord, name: str) -> list[str]:
    if name == "tag":
        return sorted(set(record.tags)) or [""]
    if name in ("customer", "team"):
        return [_named(record, f"{name}:")]
    if name == "project":
        return [str(record.project_id)]
    column = {"user": "user_id", "api_key": "api_key_id"}.get(name, name)
    found = getattr(record, column)
    return ["" if found is None else str(found)]


def _lines(record: CostRecord) -> dict[str, tuple[int, Decimal]]:
    lines: dict[str, tuple[int, Decimal]] = {}
    for line in record.breakdown:
        before = lines.get(line["class"], (0, Decimal(0)))
        lines[line["class"]] = (
            before[0] + int(line["quantity"]),
            before[1] + Decimal(line["cost_usd"]),
        )
    if not lines:
        read, written = record.cache_read_input_tokens, record.cache_write_input_tokens
        counts = {
            "input": (record.input_tokens or 0) - read - written,
            "cache_read": read,
            "cache_write": written,
            "output": record.output_tokens or 0,
        }
        lines = {name: (count, Decimal(0)) for name, count in counts.items() if count}
    rest = (record.cost_usd or 0) - sum((cost for _, cost in lines.values()), Decimal(0))
    if record.cost_usd is None:
        return {name: (count, Decimal(0)) for name, (count, _) in lines.items()} or {"": (0, Decimal(0))}  # fmt: skip
    if rest or not lines:
        lines[""] = (0, Decimal(rest))
    return lines


class Group:
    """Calls that are counted together: records, and with token classes their lines of these classes."""

    def __init__(self) -> None:
        self.records: dict[Any, CostRecord] = {}
        self.lines: dict[tuple[Any, str], tuple[int, Decimal]] = {}

    def values(self, *, by_class: bool, solved: set[str], judged: set[str]) -> dict[str, Any]:
        records = list(self.records.values())

        def cost(some: Iterable[CostRecord]) -> tuple[Decimal, int]:
            chosen = list(some)
            unpriced = sum(1 for one in chosen if one.cost_usd is None)
            if by_class:
                ids = {one.pk for one in chosen}
                spent = [amount for (pk, _), (_, amount) in self.lines.items() if pk in ids]
                return sum(spent, Decimal(0)), unpriced
            return sum((one.cost_usd or Decimal(0) for one in chosen), Decimal(0)), unpriced

        def per(some: Iterable[CostRecord], many: int) -> Decimal | None:
            spent, unpriced = cost(some)
            return None if not many or (unpriced and not spent) else spent / many

        spent, unpriced = cost(records)
        known = None if unpriced and not spent else spent
        tokens = {}
        for name, prefixes in (("input_tokens", INPUTS), ("output_tokens", ("output",))):
            tokens[name] = (
                sum(q for (_, c), (q, _) in self.lines.items() if c.startswith(prefixes))
                if by_class
                else sum(getattr(one, name) or 0 for one in records)
            )
        users = {one.user_id for one in records} - {""}
        sessions = {(one.project_id, one.session_id) for one in records if one.session_id}
        done = {(one.project_id, one.trace_id) for one in records if one.trace_id in solved}
        return {
            "cost_usd": known,
            "calls": len(records),
            "errors": sum(one.is_error for one in records),
            "unpriced_calls": unpriced,
            **tokens,
            "total_tokens": sum(tokens.values()),
            "cost_per_call": None if known is None or len(records) == unpriced else known / (len(records) - unpriced),
            "cost_per_user": per((one for one in records if one.user_id), len(users)),
            "cost_per_session": per((one for one in records if one.session_id), len(sessions)),
            "cost_per_solved_task": per((one for one in records if one.trace_id in judged), len(done)),
            "cache_savings_usd": self._saved(by_class),
            "users": len(users),
        }  # fmt: skip

    def _saved(self, by_class: bool) -> Decimal | None:
        total, unknown = Decimal(0), 0
        for one in self.records.values():
            if not one.cache_read_input_tokens or (
                by_class and (one.pk, "cache_read") not in self.lines
            ):
                continue
            lines = {line["class"]: line for line in one.breakdown}
            if one.cost_usd is None or "input" not in lines or "cache_read" not in lines:
                unknown += 1
                continue
            read = lines["cache_read"]
            total += Decimal(read["quantity"]) * Decimal(lines["input"]["unit_price_usd"])
            total -= Decimal(read["cost_usd"])
        return None if unknown and not total else total


ASKED = (
    "cost_usd", "calls", "errors", "unpriced_calls", "total_tokens", "input_tokens", "output_tokens", "cost_per_call",
    "cost_per_user", "cost_per_session", "cost_per_solved_task", "cache_savings_usd", "users",
)  # fmt: skip


def expected(
    question: Question, *, solved: set[str], judged: set[str]
) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """(key, bin) → values, and the total's."""
    filters = dict(question.filters)
    by_class = "token_class" in question.by or "token_class" in filters
    groups: dict[Any, Group] = defaultdict(Group)
    whole = Group()
    projects: list[UUID] = list(question.project_ids)
    for record in CostRecord.objects.filter(
        project_id__in=projects, occurred_at__gte=question.start, occurred_at__lt=question.end
    ):
        if any(
            not set(_values(record, name)) & set(values)
            for name, values in filters.items()
            if name != "token_class"
        ):
            continue
        lines = _lines(record) if by_class else {"*": (0, Decimal(0))}
        for name, line in lines.items():
            if "token_class" in filters and name not in filters["token_class"]:
                continue
            whole.records[record.pk] = record
            whole.lines[record.pk, name] = line
            keys: list[tuple[str, ...]] = [()]
            for dimension in question.by:
                found = [name] if dimension == "token_class" else _values(record, dimension)
                keys = [(*key, value) for key in keys for value in found]
            at = floor(record.occurred_at, question.bin) if question.bin else None
            for key in keys:
                groups[key, at].records[record.pk] = record
                groups[key, at].lines[record.pk, name] = line
    facts = {"by_class": by_class, "solved": solved, "judged": judged}
    return {key: group.values(**facts) for key, group in groups.items()}, whole.values(**facts)


def assert_right(
    found: Answer, *, solved: set[str] = frozenset(), judged: set[str] = frozenset()
) -> None:  # type: ignore[assignment]
    """The answer says exactly what the ledger's rows say."""
    rows, total = expected(found.question, solved=set(solved), judged=set(judged))
    asked = found.question.measures
    assert {(row.key, row.at): dict(row.values) for row in found.rows} == {
        key: {name: values[name] for name in asked} for key, values in rows.items()
    }
    assert dict(found.total.values) == {name: total[name] for name in asked}
