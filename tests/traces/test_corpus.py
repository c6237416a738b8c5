"""Every malformed upload of the corpus meets its expected fate in the decoders; neighbours are never lost."""

import resource
from datetime import UTC, datetime

import pytest

from core.errors import DomainError
from tests.traces.corpus import Case, cases
from traces.ingest.bodies import read_body
from traces.ingest.duplicates import without_duplicates
from traces.ingest.json_costs import decode_costs
from traces.ingest.json_traces import decode_traces
from traces.ingest.limits import Limits, Window
from traces.ingest.otlp_decode import decode_otlp
from traces.langfuse.events import read_batch

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
WINDOW = Window.around(NOW, retention_days=400)
CASES = [case for case in cases(NOW) if not case.is_http_only]
# Families of hundreds each: one test per dialect, and per part of Langfuse's batch.
FAMILIES = sorted(
    {
        "/".join(case.name.split("/")[:2])
        for case in CASES
        if case.name.startswith(("dialect/", "langfuse/"))
    }
)
SINGLE = [case for case in CASES if not case.name.startswith(("dialect/", "langfuse/"))]


def outcome(case: Case) -> tuple[int, int, int]:
    """Status, stored, refused."""
    try:
        body = read_body(case.body, case.encoding, max_decompressed=32 * 1024 * 1024)
        if case.door == "otlp":
            kind = "protobuf" if "protobuf" in case.content_type else "json"
            decoded = decode_otlp(body, content_type=kind, now=NOW, limits=Limits(), window=WINDOW)
            return 200, len(without_duplicates(decoded.spans)), len(decoded.rejections)
        if case.door == "costs":
            calls, rejections = decode_costs(body, now=NOW, limits=Limits(), window=WINDOW)
            return 207, len(calls), len(rejections)
        if case.door == "langfuse":
            batch = read_batch(body, now=NOW, limits=Limits(), window=WINDOW)
            return 207, len(batch.events), len(batch.rejections)
        results = decode_traces(body, now=NOW, limits=Limits(), window=WINDOW)
        refused = sum(len(result.rejections) + (result.error is not None) for result in results)
        keys = {(span.trace_id, span.span_id) for result in results for span in result.spans}
        return 207, len(keys), refused
    except DomainError as error:
        return error.status, 0, 0


def test_corpus_is_large_enough():
    assert len(CASES) >= 2_000


@pytest.mark.parametrize("case", SINGLE, ids=lambda case: case.name)
def test_malformed_upload_meets_its_fate(case: Case):
    assert_fate(case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_malformed_uploads_meets_its_fate(family: str):
    for case in CASES:
        if case.name.startswith(f"{family}/"):
            assert_fate(case)


def assert_fate(case: Case) -> None:
    status, stored, refused = outcome(case)
    assert status in case.statuses, case.name
    if case.stored is not None:
        assert (stored, refused) == (case.stored, case.rejected), case.name


def test_whole_corpus_keeps_memory_bounded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in CASES:
        outcome(case)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 256, f"peak grew by {grown:.0f} MiB"
