"""Sending: patient with a busy server, honest about a refusal, resumable."""

import datetime as dt
import json
import time
from contextlib import ExitStack

import pytest

from examples.demo.seeding import Progress, send_history
from examples.demo.sender import RefusedError, Sender
from tests.fakes.http_server import running_server

ANCHOR = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
ITEM = {"trace_id": "t"}
STORED = (207, {"content-type": "application/json"}, b'{"results": []}')
OTLP_STORED = (200, {"content-type": "application/x-protobuf"}, b"")


def stored(request, number):
    return OTLP_STORED if request.path == "/v1/traces" else STORED


@pytest.fixture
def start():
    """Starts a server that answers so, and a sender to it; closes both in the end."""
    with ExitStack() as stack:

        def started(answer, waits, **options):
            fake = stack.enter_context(running_server(answer))
            options = {"sleep": waits.append, **options}
            made = Sender(fake.url, "support-copilot", "llmlab_sk_test", **options)
            return fake, stack.enter_context(made)

        yield started


def test_body_goes_to_the_project_packed_and_with_the_key(start):
    fake, sender = start(stored, [])
    sender.send_items([ITEM])
    request = fake.received[0]
    assert (request.method, request.path) == ("POST", "/api/v1/projects/support-copilot/traces")
    assert request.headers["authorization"] == "Bearer llmlab_sk_test"
    assert json.loads(request.body) == {"traces": [ITEM]}


@pytest.mark.parametrize("status", [429, 503])
def test_busy_server_is_asked_again_after_the_time_it_named(start, status):
    def answer(request, number):
        return (status, {"retry-after": "7"}, b"") if number <= 2 else STORED

    waits = []
    fake, sender = start(answer, waits)
    sender.send_items([ITEM])
    assert waits == [7.0, 7.0]
    assert [request.body for request in fake.received] == [fake.received[0].body] * 3


def test_a_refused_score_is_named(start):
    results = b'{"results": [{"index": 0, "result": "rejected", "detail": "value is missing."}]}'
    fake, sender = start(lambda *_: (207, {"content-type": "application/json"}, results), [])
    with pytest.raises(RefusedError, match="value is missing"):
        sender.send_scores([{"name": "thumbs"}])
    assert fake.received[0].path == "/api/v1/projects/support-copilot/scores"
    assert json.loads(fake.received[0].body) == {"scores": [{"name": "thumbs"}]}


def test_refusal_is_not_repeated_and_says_why(start):
    body = b'{"detail": "There is no such project for this API key.", "code": "not_found"}'
    fake, sender = start(lambda request, number: (404, {}, body), [])
    with pytest.raises(RefusedError, match="There is no such project"):
        sender.send_items([ITEM])
    assert len(fake.received) == 1


def test_refused_item_inside_a_good_answer_is_noticed(start):
    body = json.dumps(
        {"results": [{"status": 207, "rejected": [{"detail": "started_at is missing"}]}]}
    ).encode()
    _, sender = start(lambda request, number: (207, {}, body), [])
    with pytest.raises(RefusedError, match="started_at is missing"):
        sender.send_items([ITEM])


def test_patience_ends(start):
    waits = []
    _, sender = start(lambda request, number: (503, {"retry-after": "9"}, b""), waits, patience=5)
    with pytest.raises(RefusedError, match="in 5 s; last: 503"):
        sender.send_items([ITEM])
    assert waits == []


def test_absent_server_is_waited_for():
    clock = []
    nobody = Sender(
        "http://127.0.0.1:9",
        "p",
        "k",
        patience=1.0,
        sleep=lambda s: clock.append(s) or time.sleep(s),
    )
    with nobody, pytest.raises(RefusedError, match="ConnectError"):
        nobody.send_items([ITEM])
    assert clock


def test_interrupted_history_goes_on_and_a_finished_one_sends_nothing(start, tmp_path):
    def answer(request, number):
        return (400, {}, b"no") if number == 15 else stored(request, number)

    path = tmp_path / "progress.json"
    options = {"anchor": ANCHOR, "traces": 400}
    fake, sender = start(answer, [])
    with pytest.raises(RefusedError):
        send_history(sender, progress=Progress(path, "a"), **options)
    before = len(fake.received)
    assert 6 <= len(Progress(path, "a").done) < before
    assert send_history(sender, progress=Progress(path, "a"), **options) > 0
    assert Progress(path, "a").is_complete
    after = len(fake.received)
    assert send_history(sender, progress=Progress(path, "a"), **options) == 0
    assert len(fake.received) == after
    ids = [
        item["trace_id"]
        for request in fake.received[before:]
        if request.path.endswith("/traces") and request.path != "/v1/traces"
        for item in json.loads(request.body)["traces"]
    ]
    assert len(ids) == len(set(ids))
    assert Progress(path, "b").done == set()  # another project starts from the beginning
