"""Property: re-pricing ends where pricing so from the start would have, whatever happens in between."""

import datetime as dt
import random
import threading
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import partitions
from costs.rule_drafts import RuleDraft
from costs.services.rule_cache import load_rules
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
from tests.traces.spans import START, assert_ledger_is_exact, context_for, llm
from tests.traces.test_write_properties import NOW, messages
from traces.ingest.span import NormalSpan
from traces.ingest.write import write_spans

DAYS = st.sampled_from([None, -4, -1, 0])


@st.composite
def drafts(draw: st.DrawFn) -> list[RuleDraft]:
    """Up to four rules that never tie, over the models and days of `messages`."""
    found: list[RuleDraft] = []
    for model in draw(st.lists(st.sampled_from(["gpt-5-mini", "gpt*", "acme*", "*"]), unique=True)):
        offset = draw(DAYS)
        facts: dict[str, Any] = {"provider": draw(st.sampled_from(["", "openai"]))}
        if offset is not None:
            facts["valid_from"] = START.date() + dt.timedelta(days=offset)
        if draw(st.booleans()):
            found.append(override(model, input=draw(st.sampled_from(["0", "1.25", "7"])), **facts))
        else:
            found.append(discount(draw(st.sampled_from(["100", "12.5", "-3"])), model, **facts))
    return found


@pytest.mark.django_db
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=messages(), rules=drafts(), seed=st.integers(0, 2**32))
def test_repricing_equals_having_priced_so_from_the_start(
    sent: list[NormalSpan], rules: list[RuleDraft], seed: int
) -> None:
    """Spans, rules, steps of jobs and killed steps in any order end as if the rules had come first."""
    straight = ProjectFactory()
    for rule in rules:
        save(straight, rule)
    write_spans(context_for(straight), sent, now=NOW)

    crooked, rnd = ProjectFactory(), random.Random(seed)
    waiting, left = list(rules), sent[:]
    jobs: list[Any] = []
    while left or waiting:
        act = rnd.choice(["write", "write", "rule", "step", "kill"])
        if act == "write" and left:
            size = rnd.randint(1, 4)
            write_spans(context_for(crooked), left[:size], now=NOW)
            del left[:size]
        elif act == "rule" and waiting:
            jobs.append(start(crooked, save(crooked, waiting.pop(0))))
        elif act in ("step", "kill"):
            one_step(kill=act == "kill")
    for job in jobs:
        finish(job)

    assert_ledger_is_exact(crooked)
    assert end_state(crooked) == end_state(straight)


@pytest.mark.django_db
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=messages(), rules=drafts())
def test_removing_the_rules_and_repricing_undoes_it_all(
    sent: list[NormalSpan], rules: list[RuleDraft]
) -> None:
    project = ProjectFactory()
    write_spans(context_for(project), sent, now=NOW)
    before = end_state(project)
    saved = [save(project, rule) for rule in rules]
    if saved:
        finish(start(project, *saved))
        for rule in saved:
            remove(project, rule.number)
        finish(start(project, *saved))
    assert end_state(project) == before


def _call(rnd: random.Random, span_id: str) -> NormalSpan:
    return llm(
        span_id,
        trace_id=f"t{rnd.randint(1, 12)}",
        user_id=rnd.choice(["", "ada", "bob"]),
        model=rnd.choice(["gpt-5-mini", "acme-llama-70b"]),
        tokens=rnd.randint(1, 5000),
        started_at=START - dt.timedelta(hours=rnd.choice([0, 1, 30])),
    )


@pytest.mark.django_db(transaction=True)
def test_beside_real_writers_nothing_is_lost_and_nothing_counted_twice() -> None:
    """Three writers on shared traces, rules that come and go, and the job, all at once."""
    partitions.ensure_days([START.date() - dt.timedelta(days=n) for n in range(3)])
    project = ProjectFactory()
    context, failed = context_for(project), []

    def send(writer: int) -> None:
        rnd = random.Random(writer)
        try:
            for batch in range(25):
                spans = [_call(rnd, f"w{writer}-{batch}-{n}") for n in range(8)]
                while True:
                    try:
                        write_spans(context, spans, now=NOW)
                    except (
                        OperationalError
                    ):  # the rules changed three times in a row: a client sends again
                        continue
                    break
        except (DatabaseError, AssertionError) as error:
            failed.append(error)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=send, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    jobs = []
    for round_ in range(6):
        rule = save(project, override("acme*") if round_ % 2 else discount("25", "gpt*"))
        jobs.append(start(project, rule))
        one_step()
        if round_ < 4:
            remove(project, rule.number)
            jobs.append(start(project, rule))
            one_step()
    for writer in writers:
        writer.join()
    for job in jobs:
        finish(job)
        assert job.state == "done", job.message
    assert not failed
    assert_ledger_is_exact(project)
    assert_priced_with(project, load_rules(project.pk))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM costs_costrecord WHERE project_id = %s", [project.pk])
        assert cursor.fetchone() == (600,)
