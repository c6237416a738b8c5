"""A small history made large by SQL: its traces, steps, calls and sums stored again under other ids.

Loading a million steps through the door takes ten minutes and is measured by benchmarks.ingest; what looks at them
afterwards only needs them there. Payloads and what search derives are not copied. Sums stay exact: `times` copies of
the same calls are `times` the sum.
"""

from typing import Any

PER_CALL = (  # noqa: SIM905 (a word each is easier to read)
    "calls errors unpriced_calls estimated_calls input_tokens output_tokens cache_read_input_tokens"
    " cache_write_input_tokens reasoning_output_tokens cost_usd latency_calls latency_ms first_token_calls"
    " first_token_ms"
).split()
COUNTS = ("latency_counts", "first_token_counts")
# Ids begin with a zero (benchmarks.history); a copy has another first character. Old enough not to be news.
_ID = "translate(left({0}, 1), '0', chr(96 + n)) || substr({0}, 2)"
_TABLES = {
    "traces_trace": {
        "trace_id": _ID.format("trace_id"),
        "updated_at": "updated_at - interval '1 hour'",
        "preview": "''::bytea",  # sealed under the original's id
    },
    "traces_span": {"trace_id": _ID.format("trace_id")},
    "costs_costrecord": {
        "id": "gen_random_uuid()",
        "trace_id": _ID.format("trace_id"),
        "record_id": _ID.format("record_id"),
    },
}


def multiply(database: Any, *, times: int) -> None:
    """Store everything `times` times as often as it is: 2 to 26."""
    for table, changed in _TABLES.items():
        names = columns_of(database, table)
        values = ", ".join(changed.get(name, name) for name in names)
        database.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values}"  # noqa: S608
            f" FROM {table} CROSS JOIN generate_series(1, %s) AS n ORDER BY 1, 2",
            [times - 1],
        )
    for table in ("costs_costaggregate", "costs_costdailyaggregate"):
        sets = [f"{name} = {name} * {times:d}" for name in PER_CALL]
        sets += [
            f"{name} = CASE WHEN {name} IS NULL THEN NULL ELSE ARRAY(SELECT count * {times:d}"  # noqa: S608
            f" FROM unnest({name}::real[]) WITH ORDINALITY AS u(count, place) ORDER BY place)::vector END"
            for name in COUNTS
        ]
        database.execute(f"UPDATE {table} SET {', '.join(sets)}")  # noqa: S608
    database.execute("VACUUM ANALYZE")


def columns_of(database: Any, table: str) -> list[str]:
    rows = database.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        [table],
    ).fetchall()
    return [name for (name,) in rows]
