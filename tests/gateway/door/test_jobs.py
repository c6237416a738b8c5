"""`Prefer: respond-async` through web process, line and worker, to the answer kept for who asks."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from django.conf import settings
from redis import Redis

from gateway.models import AsyncJob, LLMRequest
from gateway.queues.line import live_of
from tests.functional.server import Server
from tests.gateway.door.conftest import make_key, until

ASK = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Say hello"}]}
LATER = {"prefer": "respond-async"}


@pytest.fixture(scope="module")
def key(db: None, simulator: str, worker: Any) -> Any:
    return make_key(simulator)


def test_a_call_is_answered_later(gateway: Server, http: httpx2.Client) -> None:
    headers = LATER | {"idempotency-key": uuid.uuid4().hex}
    first = http.post("/v1/chat/completions", json=ASK, headers=headers)
    assert first.status_code == 202, first.text
    place = first.headers["location"]
    told = first.json()
    assert (place, told["status"]) == (f"/api/v1/requests/{told['id']}", "queued")
    assert told["url"] == place
    again = http.post("/v1/chat/completions", json=ASK, headers=headers)
    assert (again.status_code, again.headers["location"]) == (202, place)
    other = http.post("/v1/chat/completions", json=ASK | {"n": 1}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    until(lambda: http.get(place).json()["status"] == "done")
    job = http.get(place).json()
    assert job["response"]["choices"][0]["message"]["content"]
    assert (job["status_code"], job["attempts"]) == (200, 1)
    assert AsyncJob.objects.filter(id=told["id"]).count() == 1
    assert LLMRequest.objects.filter(id=told["id"], state="done").count() == 1
    assert http.post(f"{place}/cancel").json()["status"] == "done"


def test_what_cannot_be_answered_later_is_refused(http: httpx2.Client) -> None:
    before = AsyncJob.objects.count()
    streamed = http.post("/v1/chat/completions", json=ASK | {"stream": True}, headers=LATER)
    assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "stream")
    unknown = http.post("/v1/chat/completions", json=ASK | {"model": "no-such"}, headers=LATER)
    assert unknown.status_code == 404
    assert AsyncJob.objects.count() == before


def test_cancelling_one_that_runs_stops_it(gateway: Server, http: httpx2.Client) -> None:
    slow = ASK | {"model": "openai/gpt-5.4-mini+slow:30"}
    place = http.post("/v1/chat/completions", json=slow, headers=LATER).headers["location"]
    until(lambda: http.get(place).json()["status"] != "queued")
    http.post(f"{place}/cancel")
    until(lambda: http.get(place).json()["status"] not in ("queued", "running"))
    assert http.get(place).json()["status"] == "cancelled"


def test_cancelling_a_call_tells_the_client_that_waits(
    key: Any, gateway: Server, http: httpx2.Client
) -> None:
    slow = ASK | {"model": "openai/gpt-5.4-mini+slow:30"}
    with Redis.from_url(settings.REDIS_URL) as redis, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(http.post, "/v1/chat/completions", json=slow)
        until(lambda: [one.state for one in live_of(redis, key.project_id.hex)] == ["begun"])
        [call] = live_of(redis, key.project_id.hex)
        done = http.post(f"/api/v1/projects/{key.project_id}/gateway/requests/{call.id}/cancel")
        assert done.json() == {"stopped": 0, "told": 1}
        answer = waiting.result(20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (499, "cancelled")
    until(lambda: LLMRequest.objects.filter(id=call.id, state="cancelled").exists())


def test_a_webhook_goes_with_an_answer_that_comes_later(http: httpx2.Client) -> None:
    hook = {"x-llmlab-webhook": "https://hooks.example.com/x"}
    for headers in (hook, hook | LATER):
        refused = http.post("/v1/chat/completions", json=ASK, headers=headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "x-llmlab-webhook")
