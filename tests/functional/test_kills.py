"""The short form of benchmarks/kills.py: five kills during ingest, nothing acknowledged lost, nothing counted twice."""

import pytest

from benchmarks import exactness, kills
from benchmarks.stack import Stack

pytestmark = pytest.mark.slow
ROUNDS = len(kills.VICTIMS)


def test_kills_during_ingest_lose_and_double_nothing() -> None:
    """On a durable stack of its own: PostgreSQL with fsync, a worker, two web processes."""
    with Stack(worker=True) as stack:
        verdict = kills.run(stack, rounds=ROUNDS, seed=20, pause=(0.2, 0.8))

        assert verdict.is_clean, verdict.text()
        assert sorted(verdict.rounds) == sorted(kills.VICTIMS)
        assert verdict.tally.retries, "no client noticed a kill: the run proves nothing"
        assert len(verdict.tally.acknowledged) > 500
        assert len(verdict.tally.calls) > 200
        _check_that_the_check_sees(stack, verdict)


def _check_that_the_check_sees(stack: Stack, verdict: kills.Verdict) -> None:
    """Take away one acknowledged step, repeat another's record: the comparison must notice both."""
    with stack.connect() as database:
        trace_id, span_id = next(iter(verdict.tally.acknowledged))
        database.execute(
            "DELETE FROM traces_span WHERE trace_id = %s AND span_id = %s", [trace_id, span_id]
        )
        assert exactness.missing(database, stack.project_id, verdict.tally.acknowledged)[0] == 1
        database.execute(
            "UPDATE costs_costaggregate SET cost_usd = cost_usd + 0.000000000001 WHERE dimension = 'all'"
            " AND ctid = (SELECT ctid FROM costs_costaggregate WHERE dimension = 'all' AND calls > 0 LIMIT 1)"
        )
        found = exactness.discrepancies(database, stack.project_id)
        assert any("hourly sums" in text for text in found), found
        assert any("trace span counts" in text for text in found), found
