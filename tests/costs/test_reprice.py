"""Re-pricing: one chunk, one job, exact beside sums, traces and steps."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import AuditEvent
from core import jobs, outbox
from costs.models import CostAggregate, CostRecord, ProjectUsage
from costs.services import reprice, reprice_job
from costs.services.record_costs import record_costs
from costs.services.rule_cache import known_rules, load_rules
from costs.usage import ChargeableCall, Usage
from tests.costs.repricing import (
    assert_priced_with,
    discount,
    end_state,
    finish,
    one_step,
    override,
    remove,
    save,
    start,
)
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, assert_ledger_is_exact, context_for, llm, span
from traces.activity.counting import count_sessions, count_users
from traces.ingest.write import write_spans
from traces.models import SessionRow, Span, Trace, UserRow

pytestmark = pytest.mark.django_db
NOW = START + dt.timedelta(hours=3)


@pytest.fixture
def project(db: None) -> Any:
    return ProjectFactory()


def write(project: Any, *spans: Any) -> None:
    write_spans(context_for(project), spans, now=NOW)


def cost_of(project: Any) -> Decimal:
    return Trace.objects.get(project=project, trace_id="t1").cost_usd


def test_a_new_override_reaches_records_sums_traces_and_steps(project):
    write(
        project, span("a", kind="agent"), llm("b", parent_span_id="a", user_id="ada", tags=("x",))
    )
    write(project, llm("c", model="acme-llama-70b", trace_id="t2"))
    rule = save(project, override())
    job = finish(start(project, rule))

    assert (job.state, job.done, job.total) == ("done", 2, 2)
    assert job.result["changed"] == 1
    assert (job.result["before_usd"], job.result["after_usd"], job.result["change_usd"]) == (
        "0.00045", "0.005", "0.00455",
    )  # fmt: skip
    record = CostRecord.objects.get(project=project, span_id="b")
    assert (record.cost_usd, record.price_source) == (Decimal("0.005"), "override #1")
    assert [line["cost_usd"] for line in record.breakdown] == ["0.004", "0.001"]
    step = Span.objects.get(project=project, span_id="b")
    assert (step.cost_usd, step.price_status) == (Decimal("0.005"), "priced")
    assert cost_of(project) == Decimal("0.005")
    assert_ledger_is_exact(project)


def test_an_unpriced_model_gets_its_price_and_loses_it_again(project):
    write(project, llm("a", model="acme-llama-70b", provider="acme"))
    assert Trace.objects.get(project=project).unpriced_calls == 1
    rule = save(project, override("acme-*", provider="acme"))
    job = finish(start(project, rule))
    trace = Trace.objects.get(project=project)
    assert (trace.unpriced_calls, trace.cost_usd) == (0, Decimal("0.005"))
    assert (job.result["priced"], job.result["lost"]) == (1, 0)
    assert_ledger_is_exact(project)

    remove(project, rule.number)
    job = finish(start(project, rule))
    trace = Trace.objects.get(project=project)
    assert (trace.unpriced_calls, trace.cost_usd, trace.is_unpriced) == (1, Decimal(0), True)
    assert (job.result["priced"], job.result["lost"]) == (0, 1)
    record = CostRecord.objects.get(project=project)
    assert (record.cost_usd, record.unpriced_reason) == (None, "unknown_provider")
    assert_ledger_is_exact(project)


def test_pages_learn_of_the_change_by_seq_and_version(project):
    write(project, llm("a"))
    seq = Trace.objects.get(project=project).seq
    before = ProjectUsage.objects.get(project=project)
    rule = save(project, discount())
    finish(start(project, rule))
    trace, step = Trace.objects.get(project=project), Span.objects.get(project=project)
    assert (trace.seq, step.seq, step.placed_seq) == (seq + 1, seq + 1, seq)
    after = ProjectUsage.objects.get(project=project)
    assert after.version == before.version + 2  # the rule, and the re-pricing
    assert after.last_activity_at == before.last_activity_at


def test_only_the_rules_days_are_touched(project):
    early = START - dt.timedelta(days=2)
    write(project, llm("a", started_at=early), llm("b"))
    rule = save(project, discount(valid_from=START.date()))
    job = finish(start(project, rule))
    assert job.result["changed"] == 1
    costs = dict(CostRecord.objects.filter(project=project).values_list("span_id", "cost_usd"))
    assert costs == {"a": Decimal("0.00045"), "b": Decimal("0.000225")}


def test_what_the_caller_gave_and_what_was_never_charged_stays(project):
    write(
        project,
        llm("given", model="house-model", provider="acme", client_cost_usd=Decimal("0.2")),
        llm("hit", is_cache_hit=True),
        llm("refused", status="error", is_rejected=True),
    )
    CostRecord.objects.filter(project=project, span_id="refused")
    before = end_state(project)
    rule = save(project, discount())
    job = finish(start(project, rule))
    assert job.result["changed"] == 0
    assert end_state(project) == before


def test_every_fact_a_price_depends_on_is_kept(project):
    """Re-pricing under no new rule changes nothing, whatever was used."""
    usage = Usage(
        input_tokens=10_000,
        output_tokens=1_000,
        cache_read_input_tokens=3_000,
        cache_write_input_tokens=2_000,
        cache_write_5m_input_tokens=1_500,
        cache_write_1h_input_tokens=500,
        reasoning_output_tokens=300,
        web_searches=2,
        stated_total_tokens=12_345,
    )
    facts = {"provider": "anthropic", "model": "claude-opus-5-5", "usage": usage}
    audio = Usage(
        input_tokens=900, output_tokens=90, input_audio_tokens=500, output_audio_tokens=40
    )
    calls = [
        ChargeableCall(record_id="a", occurred_at=START, **facts),
        ChargeableCall(record_id="b", occurred_at=START, **facts, processing="batch"),
        ChargeableCall(record_id="c", occurred_at=START, **facts, speed="fast"),
        ChargeableCall(record_id="d", occurred_at=START, **facts, service_tier="turbo-9"),
        ChargeableCall(
            record_id="e", occurred_at=START, provider="openai", model="gpt-audio", usage=audio
        ),
        ChargeableCall(
            record_id="f", occurred_at=START, provider="openai", model="gpt-5", usage=None
        ),
    ]
    record_costs(project_id=project.pk, calls=calls, now=NOW)
    before = end_state(project)
    assert len({row[3] for row in before[0]}) >= 4
    job = finish(start(project))
    assert (job.result["read"], job.result["written"]) == (6, 0)
    assert end_state(project) == before


def test_a_record_from_before_the_extra_column_tells_its_classes_in_the_breakdown(project):
    usage = Usage(
        input_tokens=5_000, output_tokens=10, cache_write_input_tokens=800,
        cache_write_1h_input_tokens=300, cache_write_5m_input_tokens=500, web_searches=1,
    )  # fmt: skip
    call = ChargeableCall(
        record_id="a", occurred_at=START, provider="anthropic", model="claude-opus-5-5", usage=usage
    )
    record_costs(project_id=project.pk, calls=[call], now=NOW)
    CostRecord.objects.filter(project=project).update(usage_extra=None)
    assert finish(start(project)).result["written"] == 0


def test_bare_records_and_deleted_traces_are_priced_again_too(project):
    call = ChargeableCall(
        record_id="bare", occurred_at=START, trace_id="t1", span_id="a", provider="openai",
        model="gpt-5-mini", usage=Usage(input_tokens=1_000, output_tokens=100),
    )  # fmt: skip
    record_costs(project_id=project.pk, calls=[call], now=NOW)
    write(project, llm("a"))
    rule = save(project, override())
    job = finish(start(project, rule))
    assert job.result["changed"] == 2
    # The step has its own record; the bare one with the same names is not added to it.
    assert cost_of(project) == Decimal("0.005")
    total = CostAggregate.objects.filter(project=project, dimension="all")
    assert sum(row.cost_usd for row in total) == Decimal("0.01")


def test_one_model_without_a_price_is_priced_alone(project):
    write(
        project,
        llm("a", model="acme-llama-70b", provider="acme"),
        llm("b", model="acme-other", provider="acme"),
        llm("c"),
    )
    save(project, override("acme-*"))
    scope = reprice.Scope(
        start=reprice_job.FIRST, end=reprice_job.LAST, provider="acme", model="acme-llama-70b",
        only_unpriced=True,
    )  # fmt: skip
    job = finish(start(project, scope=scope))
    assert (job.total, job.result["read"], job.result["changed"]) == (1, 1, 1)
    assert Trace.objects.get(project=project).unpriced_calls == 1


def test_a_step_that_dies_before_its_commit_leaves_nothing_behind(project):
    write(project, llm("a"), llm("b", started_at=START - dt.timedelta(days=1)))
    before = end_state(project)
    job = start(project, save(project, override()))
    one_step(kill=True)
    assert end_state(project) == before
    one_step()
    one_step(kill=True)
    finish(job)
    assert (job.state, job.result["changed"], job.done) == ("done", 2, 2)
    assert_ledger_is_exact(project)
    assert_priced_with(project, load_rules(project.pk))


def test_a_cancelled_job_says_what_it_did_and_another_one_finishes(project):
    write(project, llm("a"), llm("b", started_at=START - dt.timedelta(days=1)))
    rule = save(project, override())
    job = start(project, rule)
    one_step()
    jobs.request_cancel(job.pk, now=NOW)
    finish(job)
    assert job.state == "cancelled"
    event = AuditEvent.objects.get(action="prices.reprice.cancelled")
    assert event.data["changed"] == 1
    assert (event.data["before_usd"], event.data["after_usd"]) == ("0.00045", "0.005")
    assert_ledger_is_exact(project)
    again = finish(start(project, rule))
    assert (again.state, again.result["changed"]) == ("done", 1)
    assert_priced_with(project, load_rules(project.pk))


def test_small_chunks_meet_at_the_same_moment_without_loss(project):
    """Many records of one instant, and chunks that end between them."""
    write(project, *(llm(f"s{n}", trace_id=f"t{n % 4}") for n in range(23)))
    scope = reprice_job.scope_of(save(project, override()))
    rules, after, chunks, total = load_rules(project.pk), None, 0, reprice.Tally()
    while chunks == 0 or after is not None:
        tally, after = reprice.reprice_day(
            project_id=project.pk, scope=scope, rules=rules, day=START.date(), after=after, now=NOW,
            pace=reprice.Pace(read=4, write=3),
        )  # fmt: skip
        total += tally
        chunks += 1
    assert (total.read, total.changed, chunks) == (23, 23, 6)
    assert_ledger_is_exact(project)
    assert_priced_with(project, rules)


def test_a_writer_with_old_rules_tries_again_with_the_new_ones(project):
    write(project, llm("a"))
    save(project, override())
    assert not known_rules(project.pk)  # this process has not heard of it
    write(project, llm("b"))
    assert CostRecord.objects.get(project=project, span_id="b").price_source == "override #1"
    assert known_rules(project.pk).version == 1
    write(project, llm("c", model="gpt-5-mini", trace_id="t9"))
    assert cost_of(project) == Decimal("0.00545")
    assert_ledger_is_exact(project)


def test_the_first_data_of_a_project_is_priced_with_rules_made_before_and_after_it(acme):
    one = ProjectFactory(organization=acme.organization)
    save(one, override())
    other = ProjectFactory(organization=acme.organization)
    for project in (one, other):
        write(project, llm("a"))
        assert CostRecord.objects.get(project=project).price_source == "override #1"
        usage = ProjectUsage.objects.get(project=project)
        assert (usage.version, usage.rules_version) == (1, 1)


def test_rules_of_another_organisation_change_nothing(project):
    stranger = ProjectFactory()
    write(project, llm("a"))
    write(stranger, llm("a"))
    rule = save(stranger, override())
    finish(start(stranger, rule))
    write(project, llm("b"))
    assert set(
        CostRecord.objects.filter(project=project).values_list("price_source", flat=True)
    ) == {"genai-prices 0.2.3"}


def test_a_preview_says_what_the_job_then_does(project):
    write(project, llm("a"), llm("b", model="acme-llama-70b", provider="acme"), llm("c"))
    draft = override("*")
    plan = reprice_job.Plan(
        projects=[project.pk], scope=reprice_job.scope_of(draft), action="add", draft=draft
    )
    before = end_state(project)
    preview = reprice_job.start_preview(
        organization_id=project.organization_id, plan=plan, title="Preview", author=None, now=NOW
    )
    assert end_state(project) == before
    assert (preview.state, preview.total) == ("done", 3)
    done = finish(start(project, save(project, draft)))
    told = ("read", "changed", "priced", "lost", "before_usd", "after_usd", "change_usd")
    assert {name: preview.result[name] for name in told} == {
        name: done.result[name] for name in told
    }
    assert (preview.result["changed"], preview.result["priced"]) == (3, 1)


def test_a_chunk_asks_a_fixed_number_of_questions(project, django_assert_max_num_queries):
    write(project, *(llm(f"s{n}", trace_id=f"t{n}") for n in range(40)))
    rule = save(project, override())
    rules = load_rules(project.pk)
    scope = reprice_job.scope_of(rule)
    # Read; lock traces; write records, traces, steps; sums and the table they are made from; version.
    with django_assert_max_num_queries(9):
        reprice.reprice_day(
            project_id=project.pk,
            scope=scope,
            rules=rules,
            day=START.date(),
            after=None,
            now=NOW,
            pace=reprice.Pace(),
        )


def test_sessions_and_users_are_counted_again_when_it_has_ended(project):
    facts = {"session_id": "s1", "user_id": "ada"}
    write(project, llm("a", **facts), llm("b", trace_id="t2", **facts))
    count_sessions(project.pk, ["s1"], now=NOW)
    count_users(project.pk, ["ada"], now=NOW)
    updated = Trace.objects.get(project=project, trace_id="t1").updated_at
    finish(start(project, save(project, override())))
    assert Trace.objects.get(project=project, trace_id="t1").updated_at == updated
    outbox.drain(now=lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5))
    for row in (SessionRow.objects.get(project=project), UserRow.objects.get(project=project)):
        assert (row.cost_usd, row.calls) == (Decimal("0.01"), 2)
