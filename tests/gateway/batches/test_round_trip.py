"""Official clients make batches through the door; what they cost is in the ledger to the last digit, once."""

import io
import json
from decimal import Decimal
from typing import Any

from costs.models import CostRecord
from gateway.models import Batch, LLMRequest
from tests.gateway.batches.conftest import clients, look, run

MODEL, CLAUDE = "gpt-5.4-mini", "claude-opus-4-6"
# Dollars per million tokens, in and out.
PRICES = {MODEL: (Decimal("0.75"), Decimal("4.50")), CLAUDE: (Decimal(5), Decimal(25))}


def jsonl(*names: str, model: str = MODEL, **more: Any) -> io.BytesIO:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}], **more}
    lines = [
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        for name in names
    ]
    found = io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    found.name = "requests.jsonl"
    return found


async def openai_batch(gpt: Any, *names: str, **more: Any) -> Any:
    metadata = more.pop("metadata", None) or {}
    file = await gpt.files.create(file=jsonl(*names, **more), purpose="batch")
    return await gpt.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata=metadata,
    )


def test_openai_files_and_batches(key: Any, rung: list[Any]) -> None:
    async def work() -> None:
        async with clients(key) as mine:
            gpt = mine.gpt
            file = await gpt.files.create(file=jsonl("a", "b", "expire-c"), purpose="batch")
            assert (await gpt.files.retrieve(file.id)).filename == "requests.jsonl"
            assert (await gpt.files.content(file.id)).content == jsonl("a", "b", "expire-c").read()
            other = await gpt.files.create(file=("n.txt", b"notes"), purpose="user_data")
            assert [one.id async for one in gpt.files.list()] == [other.id, file.id]
            assert [one.id async for one in gpt.files.list(limit=1)] == [other.id, file.id]
            assert [one.id async for one in gpt.files.list(purpose="batch")] == [file.id]
            assert (await gpt.files.delete(other.id)).deleted
            made = await gpt.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            assert made.status == "validating"
            assert [one.id async for one in gpt.batches.list()] == [made.id]
            done = await gpt.batches.retrieve(made.id)
            assert (done.status, done.request_counts.completed) == ("completed", 2)
            results = (await gpt.files.content(done.output_file_id)).text.splitlines()
            assert {json.loads(line)["custom_id"] for line in results} == {"a", "b"}

    run(work)
    row = Batch.objects.get(project=key.project)
    assert rung == [row.id] * 2
    assert look(row) == "recorded"
    recorded(key, row, {"a": "done", "b": "done", "expire-c": "expired"})


def test_anthropic_batches(key: Any) -> None:
    ask: Any = {"model": CLAUDE, "max_tokens": 40, "messages": [{"role": "user", "content": "Hi"}]}
    names = ("a", "b", "expire-c")

    async def work() -> None:
        async with clients(key) as mine:
            batches = mine.claude.messages.batches
            made = await batches.create(
                requests=[{"custom_id": name, "params": ask} for name in names]
            )
            assert made.request_counts.processing == 3
            done = await batches.retrieve(made.id)
            assert done.processing_status == "ended"
            assert done.results_url == (
                f"http://gateway.test/v1/messages/batches/{made.id}/results"
            )
            kinds = {one.custom_id: one.result.type async for one in await batches.results(made.id)}
            assert kinds == {"a": "succeeded", "b": "succeeded", "expire-c": "expired"}
            assert [one.id async for one in batches.list()] == [made.id]

    run(work)
    row = Batch.objects.get(project=key.project)
    assert look(row) == "recorded"
    recorded(key, row, {"a": "done", "b": "done", "expire-c": "expired"})

    async def delete() -> None:
        async with clients(key) as mine:
            assert (await mine.claude.messages.batches.delete(row.provider_id)).id

    run(delete)
    assert not Batch.objects.filter(project=key.project).exists()


def recorded(key: Any, row: Batch, states: dict[str, str]) -> None:
    """Every request is a call, at half the price, once."""
    calls = LLMRequest.objects.filter(project=key.project)
    assert sorted(one.state for one in calls) == sorted(states.values())
    ledger = CostRecord.objects.filter(project=key.project, service_tier="batch")
    made = [one for one in ledger if one.output_tokens]
    assert len(made) == list(states.values()).count("done")
    expected = sum((at_half(one) for one in made), Decimal(0))
    assert expected > 0
    row.refresh_from_db()
    assert (row.cost_usd, sum(one.cost_usd or 0 for one in calls)) == (expected, expected)
    assert row.output_tokens == sum(one.output_tokens for one in made)
    assert look(row) == ""
    # A second reading, as after a worker that died before it marked the batch.
    Batch.objects.filter(project=key.project, id=row.id).update(state="ended")
    assert look(row) == "recorded"
    assert LLMRequest.objects.filter(project=key.project).count() == len(states)
    assert CostRecord.objects.filter(project=key.project).count() == ledger.count()


def at_half(one: CostRecord) -> Decimal:
    """By the catalogue's printed prices per million tokens: batches are half."""
    into, out = PRICES[one.request_model]
    assert (one.input_tokens, one.output_tokens) != (None, None)
    return (one.input_tokens * into + one.output_tokens * out) / 2 / 1_000_000
