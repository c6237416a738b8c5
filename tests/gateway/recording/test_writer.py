"""How ended calls become steps, ledger entries and rows of the request list, once each."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from benchmarks.traffic import attribute
from core import crypto
from core.ids import uuid7
from costs.models import CostAggregate, CostRecord
from gateway import snapshot
from gateway.models import LimitCounter, LLMRequest
from gateway.recording.lost import QUEUE_LOST, WORKER_DIED, lost, usage_at_most
from gateway.recording.spans import ESTIMATED
from gateway.recording.writer import record
from gateway.structs import Dialect, Finished
from projects.models import Project
from tests.factories.gateway import ConnectionFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls
from tests.traces.uploads import call_span, otlp
from traces import retention
from traces.ingest import far_twins
from traces.ingest.context import IngestContext
from traces.ingest.limits import Limits, Window
from traces.ingest.otlp_decode import decode_otlp
from traces.ingest.span import NormalSpan
from traces.ingest.write import write_spans
from traces.models import Span, Trace
from traces.signals import user_erased

PRICE = Decimal("0.00045")  # 1,000 tokens in, 500 out


@pytest.fixture
def project(db: None) -> Project:
    return connected()


def connected() -> Project:
    """A project whose calls may come through the gateway."""
    project: Project = ProjectFactory()
    ConnectionFactory.create(organization=project.organization)
    return project


def now() -> dt.datetime:
    return timezone.now()


def test_a_call_is_a_step_a_charge_and_a_row(project: Project) -> None:
    one = calls.finished(project)
    record([one], now=now())
    span = Span.objects.get(project=project)
    assert (span.trace_id, span.span_id) == (one.call.id, one.call.id[16:])
    assert (span.kind, span.status, span.dialect) == ("llm", "ok", "gateway")
    assert (span.provider, span.request_model) == ("openai", "gpt-4o-mini")
    assert (span.cost_usd, span.price_status) == (PRICE, "priced")
    row = LLMRequest.objects.get(project=project)
    assert (row.id.hex, row.state, row.cost_usd) == (one.call.id, "done", PRICE)
    assert row.queue_ms == pytest.approx(6, abs=0.01)
    assert row.provider_ms == pytest.approx(500, abs=0.01)
    assert row.first_token_ms == pytest.approx(262, abs=0.01)
    charged = CostRecord.objects.get(project=project)
    assert charged.api_key_id is not None
    assert charged.api_key_id.hex == one.call.caller.key_id


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 2, 1)])
def test_what_the_queue_lost_gives_way_to_a_workers_word(
    project: Project, order: tuple[int, ...]
) -> None:
    """The door cannot know whether a worker had the call when Redis forgot it."""
    project.organization.gateway_limits.create(
        name="Tokens", scope="project", value=project.pk.hex, metric="tokens", window="day",
        amount=9_000, is_hard=True,
    )  # fmt: skip
    snapshot.forget()
    call = calls.call(project, has_reservation=True, max_output_tokens=50)
    forgotten = calls.finished(
        of=call, state="lost", status=503, error=QUEUE_LOST, attempts=[], usage=None, answer=b""
    )
    ends = (forgotten, calls.finished(of=call), lost(call, at=call.accepted_at + 1))
    for place in order:
        record([ends[place]], now=now())
    row = LLMRequest.objects.get(project=project)
    assert (row.state, row.cost_usd) == ("done", PRICE)
    most = usage_at_most(call)
    (used,) = LimitCounter.objects.values_list("used", flat=True)
    assert used == ((most.input_tokens or 0) + (most.output_tokens or 0) if 2 in order else 1500)


def test_the_same_end_twice_changes_nothing(project: Project) -> None:
    ends = [calls.finished(project) for _ in range(3)]
    record([*ends, ends[0]], now=now())
    record(ends, now=now())
    assert Span.objects.filter(project=project).count() == 3
    assert CostRecord.objects.filter(project=project).count() == 3
    assert LLMRequest.objects.filter(project=project).count() == 3
    assert sum(Trace.objects.filter(project=project).values_list("cost_usd", flat=True)) == (
        3 * PRICE
    )


def test_a_refused_call_is_a_row_and_no_step(project: Project) -> None:
    refused = calls.finished(
        project, state="refused", status=429, error="rate_limit_exceeded", attempts=[], usage=None
    )
    record([refused], now=now())
    assert not Span.objects.filter(project=project).exists()
    row = LLMRequest.objects.get(project=project)
    assert (row.status_code, row.error, row.cost_usd) == (429, "rate_limit_exceeded", None)
    assert row.span_id == ""


def test_keys_and_projects_of_one_batch_are_kept_apart(project: Project) -> None:
    other = ProjectFactory()
    ends = [calls.finished(project), calls.finished(project), calls.finished(other)]
    gone = calls.finished()  # of a project that is deleted meanwhile
    record([*ends, gone], now=now())
    for one in ends:
        [charge] = CostRecord.objects.filter(
            project=one.call.caller.project_id, trace_id=one.call.id
        )
        assert charge.api_key_id == UUID(one.call.caller.key_id)
    assert LLMRequest.objects.filter(project=other).count() == 1


def test_an_answer_from_the_cache_is_free(project: Project) -> None:
    hit = calls.finished(
        project,
        state="cached",
        cache="exact",
        cached_id=uuid7().hex,
        attempts=[],
        saved_usd=PRICE,
    )
    record([hit], now=now())
    span = Span.objects.get(project=project)
    assert (span.is_cache_hit, span.cost_usd, span.price_status) == (True, 0, "free")
    row = LLMRequest.objects.get(project=project)
    assert (row.state, row.cost_usd, row.saved_usd) == ("cached", 0, PRICE)


@pytest.mark.parametrize(
    ("status", "error", "price"),
    [
        (429, "rate_limit", "free"),
        (401, "auth", "free"),
        (500, "error", "free"),
        (0, "timeout", "unpriced"),  # nobody knows what it did
    ],
)
def test_a_call_its_provider_failed_is_an_error(
    project: Project, status: int, error: str, price: str
) -> None:
    call = calls.call(project)
    tries = [
        calls.tried(call, status=status, error=error, message="no", first_token_at=0.0),
        calls.tried(call, after=1, status=status, error=error, first_token_at=0.0),
    ]
    end = calls.finished(
        of=call,
        state="failed",
        status=502,
        error=error,
        message="no",
        attempts=tries,
        usage=None,
        answer=b"",
        response_id="",
        response_model="",
        finish_reason="",
    )
    record([end], now=now())
    span = Span.objects.get(project=project)
    assert (span.status, span.error_type, span.price_status) == ("error", error, price)
    row = LLMRequest.objects.get(project=project)
    assert (row.state, row.attempts, row.fallbacks) == ("failed", 2, 0)


def test_what_was_supposed_lost_and_ended_after_all_is_put_right(project: Project) -> None:
    call = calls.call(project, max_output_tokens=4000)
    record([lost(call, at=call.accepted_at + 9)], now=now())
    span = Span.objects.get(project=project)
    assert (span.status, span.error_type, span.flags) == ("error", WORKER_DIED, [ESTIMATED])
    assert span.cost_usd is not None
    assert span.cost_usd > PRICE
    real = calls.finished(of=call)
    for _ in range(2):
        record([real], now=now())
    record([lost(call, at=call.accepted_at + 9)], now=now())
    span = Span.objects.get(project=project)
    assert (span.status, span.error_type, span.flags, span.cost_usd) == ("ok", "", [], PRICE)
    row = LLMRequest.objects.get(project=project)
    assert (row.state, row.cost_usd, row.flags) == ("done", PRICE, [])
    assert Trace.objects.get(project=project).cost_usd == PRICE
    assert CostRecord.objects.get(project=project).cost_usd == PRICE


def test_a_jobs_lost_try_is_a_step_and_the_job_goes_on(project: Project) -> None:
    call = calls.call(project, is_job=True, max_output_tokens=100)
    for _ in range(2):
        record([lost(call, at=call.accepted_at + 1)], now=now())
    assert not LLMRequest.objects.filter(project=project).exists()
    again = msgspec.structs.replace(call, claimed_at=call.claimed_at + 30)
    record([calls.finished(of=again)], now=now())
    assert LLMRequest.objects.get(project=project).state == "done"
    steps = Span.objects.filter(project=project, trace_id=call.id)
    assert sorted(steps.values_list("status", flat=True)) == ["error", "ok"]


def report(
    project: Project,
    end: Finished,
    *,
    span_id: int,
    above: str = "",
    trace_id: str = "",
    output_tokens: int = 500,
) -> None:
    """The same response as the client's own instrumentation tells it."""
    trace_id = trace_id or end.call.caller.trace_id or uuid7().hex
    found = call_span(
        span_id,
        trace_id=bytes.fromhex(trace_id),
        parent_span_id=bytes.fromhex(above),
        start_time_unix_nano=int((end.call.accepted_at - 0.01) * 1e9),
        end_time_unix_nano=int((end.ended_at + 0.01) * 1e9),
    )
    for one in found.attributes:
        if one.key == "gen_ai.usage.output_tokens":
            one.value.int_value = output_tokens
    if response_id := end.response_id or msgspec.json.decode(end.answer).get("id"):
        found.attributes.append(attribute("gen_ai.response.id", response_id))
    decoded = decode_otlp(
        otlp(found),
        content_type="protobuf",
        now=now(),
        limits=Limits(),
        window=Window.around(now(), retention_days=30),
    )
    assert not decoded.rejections
    context = IngestContext(
        project_id=project.pk, cipher=crypto.data_cipher(project.organization.data_key)
    )
    write_spans(context, decoded.spans, now=now())


def kept() -> dict[str, Any]:
    """How the door tells of a kept answer: nobody was asked, nothing was used."""
    nothing: dict[str, Any] = {"usage": None, "response_id": "", "attempts": []}
    return {"state": "cached", "cache": "exact", **nothing}


@pytest.mark.parametrize("comes", ["above", "beside", "elsewhere"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_hit", [True, False])
def test_the_clients_own_report_of_a_call_is_not_charged_again(
    project: Project, comes: str, is_first: bool, is_hit: bool
) -> None:
    above = "00000000000000ff"
    parent = above if comes == "beside" else f"{5:016x}"
    names = {} if comes == "elsewhere" else {"trace_id": uuid7().hex, "parent_span_id": parent}
    who = calls.caller(project, **names)
    values = kept() if is_hit else {}
    end = calls.finished(of=calls.call(caller=who), **values)
    outer = above if comes == "beside" else ""
    if is_first:
        report(project, end, span_id=5, above=outer)
    record([end], now=now())
    if not is_first:
        report(project, end, span_id=5, above=outer)
    traces = Trace.objects.filter(project=project).order_by("-call_count")
    assert (traces[0].cost_usd, traces[0].call_count) == (0 if is_hit else PRICE, 1)
    assert [one.call_count for one in traces[1:]] == ([0] if comes == "elsewhere" else [])
    assert LLMRequest.objects.get(project=project).cost_usd == (0 if is_hit else PRICE)
    [charged] = CostRecord.objects.filter(project=project)
    assert charged.trace_id == (end.call.caller.trace_id or end.call.id)
    sums = CostAggregate.objects.filter(project=project, dimension="all")
    assert sum(one.calls for one in sums) == 1
    assert sum(one.cost_usd for one in sums) == (0 if is_hit else PRICE)


def test_a_kept_answer_without_an_id_costs_the_step_above_it_nothing(project: Project) -> None:
    who = calls.caller(project, trace_id=uuid7().hex, parent_span_id=f"{5:016x}")
    end = calls.finished(of=calls.call(caller=who), **kept(), answer=b'{"data": []}')
    record([end], now=now())
    report(project, end, span_id=5)
    assert Trace.objects.get(project=project).cost_usd == 0


def test_what_was_not_that_call_is_charged(project: Project) -> None:
    """Same id, but of another time, another project, or with another answer."""
    end = calls.finished(project)
    record([end], now=now())
    stranger = connected()
    before = msgspec.structs.replace(
        end, ended_at=end.ended_at - 600, call=calls.call(project, ago_s=602)
    )
    report(stranger, end, span_id=5)
    report(project, before, span_id=6)
    report(project, end, span_id=7, output_tokens=499)
    assert CostRecord.objects.filter(project=project).count() == 3
    assert CostRecord.objects.filter(project=stranger).count() == 1


def test_who_died_before_it_looked_for_the_other_report_does_so_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise OperationalError

    end, trace_id = calls.finished(project), uuid7().hex
    record([end], now=now())
    with monkeypatch.context() as patch:
        patch.setattr("traces.ingest.write.far_twins.settle", dies)
        with pytest.raises(OperationalError):
            report(project, end, span_id=5, trace_id=trace_id)
    assert CostRecord.objects.filter(project=project).count() == 2
    report(project, end, span_id=5, trace_id=trace_id)
    assert CostRecord.objects.get(project=project).trace_id == end.call.id


def test_the_other_report_is_looked_for_by_its_id_not_by_its_time(
    project: Project, django_assert_num_queries: Any
) -> None:
    """Also where nothing is known of the table yet: each day begins with a new partition."""
    ids = [f"resp_{number}" for number in range(40)]
    given = (project.pk, now(), now(), ids, project.pk, ids)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query, params in (
            (far_twins._PROBE, [*given, "gateway", True]),
            (far_twins._FIND, [*given, now(), now(), "gateway", "gateway"]),
        ):
            cursor.execute(f"EXPLAIN {query}", params)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert plan.count("Index Cond: (uuid_hash_extended") == plan.count("Index Cond")
            assert "Seq Scan" not in plan
    spans = [
        NormalSpan(trace_id="a", span_id="b", started_at=now(), is_call=True, response_id=one)
        for one in ids
    ]
    with django_assert_num_queries(2):
        assert far_twins.settle(project.pk, spans, now=now()) == 0
    with django_assert_num_queries(1):
        assert far_twins.settle(project.pk, spans, now=now()) == 0


def test_who_has_no_connection_pays_nothing_for_the_gateway(
    db: None, django_assert_num_queries: Any
) -> None:
    project = ProjectFactory.create()
    span = NormalSpan(
        trace_id="a", span_id="b", started_at=now(), is_call=True, response_id="resp_1"
    )
    with django_assert_num_queries(1):
        assert far_twins.settle(project.pk, [span], now=now()) == 0
    with django_assert_num_queries(0):
        assert far_twins.settle(project.pk, [span], now=now()) == 0


def test_the_paid_answer_stays_paid_beside_its_own_cache_hit(project: Project) -> None:
    who = calls.caller(project, trace_id=uuid7().hex, parent_span_id="00000000000000ff")
    paid = calls.finished(of=calls.call(caller=who))
    hits = [
        calls.finished(
            of=calls.call(caller=who), state="cached", cache="exact", response_id=paid.response_id
        )
        for _ in range(6)
    ]
    for one in [*hits[:3], paid, *hits[3:]]:
        record([one], now=now())
    report(project, paid, span_id=5, above="00000000000000ff")
    assert Trace.objects.get(project=project).cost_usd == PRICE


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("is_reported", [True, False])
def test_servers_that_repeat_an_id_are_paid_for_each_call(
    project: Project, is_together: bool, is_reported: bool
) -> None:
    """We made both calls ourselves; some OpenAI-compatible servers have a thousand ids."""
    who = calls.caller(project, trace_id=uuid7().hex, parent_span_id="00000000000000ff")
    ends = [calls.finished(of=calls.call(caller=who), response_id="chatcmpl-7") for _ in range(3)]
    for batch in [ends] if is_together else [[one] for one in ends]:
        record(batch, now=now())
        if is_reported:
            report(project, ends[0], span_id=5, above="00000000000000ff")
    trace = Trace.objects.get(project=project)
    assert (trace.cost_usd, trace.call_count) == (3 * PRICE, 3)
    charged = CostRecord.objects.filter(project=project).values_list("cost_usd", flat=True)
    assert list(charged) == [PRICE] * 3


def test_rows_go_with_the_traces_of_their_time(project: Project) -> None:
    days = [calls.finished(of=calls.call(project, ago_s=86_400 * n + 60)) for n in (0, 2, 5)]
    other = calls.finished(ProjectFactory(), of=None)
    record([*days, other], now=now())
    assert not retention.expire_rows(project.pk, before=now() - dt.timedelta(days=1))
    assert [row.id.hex for row in LLMRequest.objects.filter(project=project)] == [days[0].call.id]
    assert LLMRequest.objects.filter(project=other.call.caller.project_id).count() == 1


def test_an_erased_user_is_no_longer_named(project: Project) -> None:
    ends = [
        calls.finished(of=calls.call(caller=calls.caller(project, user=user)))
        for user in ("mia", "ben")
    ]
    record(ends, now=now())
    user_erased.send(sender=Trace, project_id=project.pk, user_id="mia", now=now())
    named = LLMRequest.objects.filter(project=project).values_list("user_id", flat=True)
    assert sorted(named) == ["", "ben"]


def test_a_call_that_was_cancelled_before_it_was_made_costs_nothing(project: Project) -> None:
    waiting = calls.finished(
        project, state="cancelled", status=499, error="client_left", attempts=[], usage=None
    )
    record([waiting], now=now())
    span = Span.objects.get(project=project)
    assert (span.status, span.price_status, span.flags) == ("ok", "free", ["cancelled"])


def test_counting_tokens_is_free(project: Project) -> None:
    counted = calls.finished(
        of=calls.call(project, dialect=Dialect.COUNT_TOKENS), usage=None, response_id=""
    )
    record([counted], now=now())
    assert LLMRequest.objects.get(project=project).cost_usd == 0
    assert not CostRecord.objects.filter(project=project).exists()
