"""What batches may not do: see another project's, cost more than is left, ask for what is not allowed, be forgotten."""

import io
import json
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from django.utils import timezone

from gateway import snapshot
from gateway.batches import looking, owned, provider, recording
from gateway.batches.provider import UnansweredError
from gateway.models import (
    Batch,
    GatewaySettings,
    LimitCounter,
    LLMRequest,
    ProviderFile,
    Reservation,
)
from gateway.recording import recorder
from tests.factories.gateway import LimitFactory
from tests.gateway.batches.conftest import clients, look, run
from tests.gateway.batches.test_round_trip import CLAUDE, MODEL, jsonl, openai_batch
from tests.gateway.door.conftest import make_key

ASK: Any = {"model": CLAUDE, "max_tokens": 40, "messages": [{"role": "user", "content": "Hi"}]}
URL = "http://gateway.test"


def asked(simulator: str) -> list[str]:
    """What reached the provider so far."""
    rows = httpx2.get(f"{simulator}/simulator/requests").json()["requests"]
    return [f"{row['method']} {row['path']}" for row in rows]


def test_another_project_sees_nothing(key: Any, simulator: str) -> None:
    stranger = make_key(simulator)

    async def work() -> None:
        async with clients(key, stranger) as (mine, other):
            made = await openai_batch(mine.gpt, "a")
            message = await mine.claude.messages.batches.create(
                requests=[{"custom_id": "a", "params": ASK}]
            )
            before = asked(simulator)
            for path in (
                f"/v1/files/{made.input_file_id}", f"/v1/files/{made.input_file_id}/content",
                f"/v1/batches/{made.id}", f"/v1/messages/batches/{message.id}",
                f"/v1/messages/batches/{message.id}/results",
            ):  # fmt: skip
                refused = await other.http.get(path)
                assert refused.status_code == 404, path
                is_anthropic = "messages" in path
                assert ("type" in refused.json()) is is_anthropic, path
                assert refused.json()["error"]["type"] == (
                    "not_found_error" if is_anthropic else "invalid_request_error"
                )
            for path in (f"/v1/batches/{made.id}", f"/v1/messages/batches/{message.id}"):
                assert (await other.http.post(f"{path}/cancel")).status_code == 404
            for path in (f"/v1/files/{made.input_file_id}", f"/v1/messages/batches/{message.id}"):
                assert (await other.http.delete(path)).status_code == 404
            body = {"input_file_id": made.input_file_id, "endpoint": "/v1/chat/completions"}
            assert (await other.http.post("/v1/batches", json=body)).status_code == 404
            for path in ("/v1/files", "/v1/batches", "/v1/messages/batches"):
                assert (await other.http.get(path)).json()["data"] == []
            assert asked(simulator) == before
            assert (await mine.http.get(f"/v1/batches/{made.id}")).status_code == 200

    run(work)
    assert Batch.objects.filter(project=key.project).count() == 2


def test_pages_as_the_providers_give_them(key: Any) -> None:
    async def work() -> None:
        async with clients(key) as mine:
            batches = mine.claude.messages.batches
            made = [
                (await batches.create(requests=[{"custom_id": "hold", "params": ASK}])).id
                for _ in range(3)
            ]
            assert [one.id async for one in batches.list(limit=1)] == made[::-1]
            page = await batches.list(limit=2, before_id=made[0])
            assert [one.id for one in page.data] == [made[2], made[1]]
            first, second = [
                (await openai_batch(mine.gpt, "a", metadata={"hold": "yes"})).id for _ in range(2)
            ]
            assert [one.id async for one in mine.gpt.batches.list(limit=1)] == [second, first]
            assert (await mine.gpt.batches.cancel(first)).status == "cancelled"
            assert (await batches.cancel(made[0])).processing_status == "ended"
            for path in ("/v1/batches?limit=0", "/v1/batches?limit=x", "/v1/files?order=up"):
                assert (await mine.http.get(path)).status_code == 400, path
            assert (await mine.http.get("/v1/batches?after=batch_x")).status_code == 404

    run(work)
    states = [one.state for one in Batch.objects.filter(project=key.project).order_by("created_at")]
    assert states == ["ended", "open", "open", "ended", "open"]


def test_what_cannot_be_paid_never_reaches_the_provider(key: Any, simulator: str) -> None:
    limit = LimitFactory(
        organization=key.project.organization, metric="usd", window="day", amount="0.01"
    )
    snapshot.touch(key.project.organization_id)
    before = asked(simulator)

    async def work() -> None:
        async with clients(key) as mine:
            with pytest.raises(openai.APIStatusError) as refused:
                await mine.gpt.files.create(file=jsonl("a", "b"), purpose="batch")
            assert refused.value.status_code == 402
            assert refused.value.code == "budget_exceeded"
            answer = await mine.http.post(
                "/v1/messages/batches",
                json={"requests": [{"custom_id": "a", "params": ASK | {"max_tokens": 9_999}}]},
            )
            assert answer.json()["error"]["type"] == "billing_error"
            unpriced = jsonl("a", model="gpt-of-tomorrow")
            with pytest.raises(openai.APIStatusError) as refused:
                await mine.gpt.files.create(file=unpriced, purpose="batch")
            assert refused.value.code == "model_unpriced"
            assert asked(simulator) == before
            made = await mine.claude.messages.batches.create(
                requests=[{"custom_id": name, "params": ASK} for name in ("a", "b")]
            )
            assert made.id

    run(work)
    counter = LimitCounter.objects.get(key__startswith=limit.pk.hex)
    row = Batch.objects.get(project=key.project)
    assert counter.reserved == row.most_usd > 0
    assert look(row) == "recorded"
    counter.refresh_from_db()
    row.refresh_from_db()
    assert (counter.used, counter.reserved) == (row.cost_usd, 0)
    assert not Reservation.objects.filter(project=key.project).exists()
    assert 0 < row.cost_usd < row.most_usd
    assert recorder.recorder().drain(5)
    refused = LLMRequest.objects.get(project=key.project, state="refused")
    assert refused.error == "budget_exceeded"


def test_requests_that_may_not_be_made(key: Any, simulator: str) -> None:
    rules = {
        "guards": [
            {"kind": "secrets", "action": "mask"},
            {"kind": "patterns", "action": "block", "patterns": ["forbidden"]},
        ]
    }
    GatewaySettings.objects.create(project=key.project, rules=rules)
    snapshot.touch(key.project.organization_id)
    before = asked(simulator)
    hello = {"role": "user", "content": "hello"}
    wrong: tuple[tuple[dict[str, Any], int, str], ...] = (
        ({"body": {"model": "claude-opus-4-6", "messages": [hello]}}, 404, "line 2"),
        ({"body": {"model": MODEL, "messages": [hello | {"content": "forbidden"}]}}, 400, "line 2"),
        ({"body": {"messages": [hello]}}, 400, "line 2"),
        ({"custom_id": "first"}, 400, "twice"),
        ({"custom_id": ""}, 400, "line 2"),
        ({"url": "/v1/images"}, 400, "/v1/images"),
        ({"url": "/v1/embeddings"}, 400, "same url"),
        ({"method": "GET"}, 400, "POST"),
    )

    async def work() -> None:
        async with clients(key) as mine:
            good = jsonl("first").read()
            for change, status, words in wrong:
                line = json.loads(good) | {"custom_id": "second"} | change
                file = io.BytesIO(good + json.dumps(line).encode())
                answer = await mine.http.post(
                    "/v1/files", data={"purpose": "batch"}, files={"file": ("f.jsonl", file)}
                )
                assert answer.status_code == status, (change, answer.text)
                assert words in answer.json()["error"]["message"], change
            for content, named in ((b"", "no request"), (b"{", "line 1")):
                answer = await mine.http.post(
                    "/v1/files", data={"purpose": "batch"}, files={"file": ("f.jsonl", content)}
                )
                assert named in answer.json()["error"]["message"]
            assert (await mine.http.post("/v1/files", json={})).status_code == 415
            assert (await mine.http.put("/v1/files")).status_code == 405
            named = {"x-llmlab-connection": "nobody's"}
            answer = await mine.http.post("/v1/files", files={"file": ("f", b"x")}, headers=named)
            assert answer.status_code == 404

    run(work)
    assert asked(simulator) == before
    assert not ProviderFile.objects.filter(project=key.project).exists()


def test_a_file_that_is_too_large(key: Any, settings: Any, simulator: str) -> None:
    settings.LLMLAB_GATEWAY_MAX_FILE = 2_000_000
    before = asked(simulator)

    async def work() -> None:
        async with clients(key) as mine:
            answer = await mine.http.post("/v1/files", files={"file": ("f", b"x" * 2_000_001)})
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
            large = await mine.http.post(
                "/v1/files", data={"purpose": "user_data"}, files={"file": ("f", b"x" * 1_990_000)}
            )
            assert large.json()["bytes"] == 1_990_000

    run(work)
    assert asked(simulator) == [*before, "POST /v1/files"]


def test_a_worker_that_dies_between_results_and_record(
    key: Any, monkeypatch: Any, rung: list[Any]
) -> None:
    """All is in the ledger, the reservation is not settled: the next worker ends it, and nothing counts twice."""
    LimitFactory(organization=key.project.organization, metric="tokens", window="day", amount=10**6)
    snapshot.touch(key.project.organization_id)

    async def work() -> None:
        async with clients(key) as mine:
            made = await openai_batch(mine.gpt, "a", "b", max_completion_tokens=500)
            done = await mine.gpt.batches.retrieve(made.id)
            early = await mine.http.delete(f"/v1/files/{done.output_file_id}")
            assert (early.status_code, early.json()["error"]["code"]) == (409, "not_recorded")

    run(work)
    row = Batch.objects.get(project=key.project)

    class KilledError(BaseException):
        pass

    def die(*_: Any, **__: Any) -> bool:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(recording, "settle", die)
        with pytest.raises(KilledError):
            look(row)
    assert LLMRequest.objects.filter(project=key.project, state="done").count() == 2
    assert Reservation.objects.filter(project=key.project).count() == 1
    row.refresh_from_db()
    assert row.state == "ended"
    later = timezone.now() + looking.RECORDING
    rung.clear()
    assert looking.send_due(later) >= 1
    assert row.id in rung
    rung.clear()
    looking.send_due(later)
    assert row.id not in rung
    assert look(row) == "recorded"
    assert LLMRequest.objects.filter(project=key.project).count() == 2
    row.refresh_from_db()
    counter = LimitCounter.objects.get(organization=key.project.organization)
    assert row.input_tokens is not None
    assert row.output_tokens is not None
    assert (counter.used, counter.reserved) == (row.input_tokens + row.output_tokens, 0)
    assert isinstance(row.cost_usd, Decimal)


def test_a_creation_that_was_never_confirmed(key: Any, monkeypatch: Any) -> None:
    """Looked for at its provider: found it is recorded, not found nothing is held for it, unsure it is for a day."""
    LimitFactory(organization=key.project.organization, metric="tokens", window="day", amount=10**6)
    snapshot.touch(key.project.organization_id)
    send, is_taken = provider.ask, True

    async def silent(client: Any, method: str, path: str, **more: Any) -> Any:
        if is_taken:
            await send(client, method, path, **more)
        raise UnansweredError("It does not answer.", was_sent=True, is_late=True)

    monkeypatch.setattr(provider, "ask", silent)

    async def work() -> None:
        nonlocal is_taken
        errors = (openai.InternalServerError, anthropic.InternalServerError)
        async with clients(key) as mine:
            with pytest.raises(errors):
                await openai_batch(mine.gpt, "a", max_completion_tokens=500)
            ask = [{"custom_id": "a", "params": ASK}]
            with pytest.raises(errors):
                await mine.claude.messages.batches.create(requests=ask)
            is_taken = False
            with pytest.raises(errors):
                await openai_batch(mine.gpt, "a", max_completion_tokens=500)

    run(work)
    taken, unsure, absent = Batch.objects.filter(project=key.project).order_by("created_at")
    held = Reservation.objects.filter(project=key.project)
    assert ({taken.state, unsure.state, absent.state}, held.count()) == ({"making"}, 3)
    assert look(taken) == "making"  # it may still be under way
    monkeypatch.setattr(owned, "MAKING", looking.LEASE * 0)
    assert (look(taken), look(unsure), look(absent)) == ("open", "lost", "lost")
    assert look(taken) == "recorded"
    assert LLMRequest.objects.filter(project=key.project, state="done").count() == 1
    left = held.get()
    assert left.call_id == unsure.id
    assert left.expires_at == unsure.created_at + looking.A_DAY
