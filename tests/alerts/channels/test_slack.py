"""Slack: blocks within its limits, words that cannot mention anybody, and what it answers for good."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from alerts.channels.base import Permanent, Retryable
from alerts.channels.registry import plugin_for
from alerts.channels.slack import blocks_of, escaped, text_of
from core.errors import DomainError
from tests.alerts.channels.notices import NASTY, message
from tests.fakes.http_server import Answer, FakeServer, Received, running_server

COMPATIBLE = {"service": "compatible"}
URL = "https://hooks.slack.com/services/T0/B0/abcdefghij"


class Script:
    """What the server answers, one after the other; the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [(200, {}, b"ok")]

    def __call__(self, _request: Received, number: int) -> Answer:
        return self.answers[min(number, len(self.answers)) - 1]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server(script: Script) -> Iterator[FakeServer]:
    with running_server(script) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        yield fake


def send(server: FakeServer, settings: Any = COMPATIBLE, **changes: Any) -> Any:
    return plugin_for("slack").send(
        message(**changes), settings, {"url": f"{server.url}/services/x"}
    )


def posted(server: FakeServer, number: int = -1) -> Any:
    return json.loads(server.received[number].body)


def test_an_alert_is_sent_as_blocks_with_text_beside(server: FakeServer) -> None:
    sent = send(server)
    assert (sent.status, sent.answer) == (200, "ok")
    told = posted(server)
    assert told["text"].startswith("Budget at 104 %: Support bot\nSupport bot has spent $104.11")
    kinds = [block["type"] for block in told["blocks"]]
    assert kinds[0] == "header"
    assert kinds[-1] == "context"
    assert "actions" in kinds
    assert "*Spent*\n$104.11" in json.dumps(told, ensure_ascii=False).replace("\\n", "\n")
    assert "gpt-5.5" in json.dumps(told)
    buttons = next(block for block in told["blocks"] if block["type"] == "actions")["elements"]
    assert [one["text"]["text"] for one in buttons] == ["Open the alert", "See the calls"]


def test_names_mention_nobody_and_make_no_link() -> None:
    one = message(title=NASTY, words=NASTY, rows=((NASTY, NASTY),), causes=((NASTY, NASTY, NASTY),),
                  note=NASTY, organization=NASTY, items=((NASTY, NASTY, "https://x.example/"),))  # fmt: skip
    sent = [text_of(one.notice)]
    for block in blocks_of(one.notice)[1:]:
        texts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
        sent += [text["text"] for text in texts if text and text["type"] == "mrkdwn"]
    assert len(sent) > 6
    assert not any("<!channel>" in text for text in sent)
    assert all("&lt;!channel&gt; &amp;" in text for text in sent if "█" not in text)
    header = blocks_of(one.notice)[0]["text"]
    assert header["type"] == "plain_text"
    assert "\n" not in header["text"]


@pytest.mark.parametrize("letter", ["x", "&", "<", "😀", "\x00"])
def test_the_longest_texts_stay_within_the_limits(letter: str) -> None:
    long = letter * 10_000
    one = message(
        title=long, words=long, rows=((long, long),) * 20, causes=((long, long, long),) * 20, note=long,
        organization=long, items=((long, long, "https://x.example/"),) * 30,
        links=((long, "https://x.example/"), ("Far", "https://x.example/" + "a" * 4_000)),
    )  # fmt: skip
    blocks = blocks_of(one.notice)
    assert len(blocks) <= 50
    whole = 0
    for block in blocks:
        limits = {"header": 150, "section": 3_000}
        if "text" in block:
            whole += units(block["text"]["text"])
            assert units(block["text"]["text"]) <= limits[block["type"]]
        assert len(block.get("fields", ())) <= 10
        for part in block.get("fields", ()):
            whole += units(part["text"])
            assert units(part["text"]) <= 2_000
        if block["type"] == "actions":
            assert len(block["elements"]) == 1
            assert units(block["elements"][0]["text"]["text"]) <= 75
    assert whole <= 13_200
    assert not escaped(long, 100).endswith("&a…")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_refused_blocks_are_sent_as_text_once(server: FakeServer, script: Script) -> None:
    script.answers = [(400, {}, b"invalid_blocks"), (200, {}, b"ok")]
    assert "as text" in send(server).answer
    assert "blocks" in posted(server, 0)
    assert set(posted(server, 1)) == {"text"}


@pytest.mark.parametrize(
    ("status", "word", "count", "disables"),
    [
        (400, "invalid_payload", 2, False), (400, "no_text", 2, False), (400, "user_not_found", 2, False),
        (403, "action_prohibited", 1, True), (403, "posting_to_general_channel_denied", 1, True),
        (403, "invalid_token", 1, True), (404, "channel_not_found", 1, True), (404, "no_service", 1, True),
        (404, "no_service_id", 1, True), (404, "no_team", 1, True), (404, "team_disabled", 1, True),
        (404, "no_active_hooks", 1, True), (410, "channel_is_archived", 1, True),
    ],
)  # fmt: skip
def test_what_slack_says_for_good(
    server: FakeServer, script: Script, status: int, word: str, count: int, disables: bool
) -> None:
    script.answers = [(status, {}, word.encode())]
    with pytest.raises(Permanent, match=word) as told:
        send(server)
    assert told.value.disables is disables
    assert len(server.received) == count


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"retry-after": "30"}, 30.0), (429, {}, None), (429, {"retry-after": "-3"}, 0.0),
        (429, {"retry-after": "9999999"}, 3_600.0), (429, {"retry-after": "nan"}, None),
        (429, {"retry-after": "Fri, 20 Nov 2026 20:01:00 GMT"}, 60.0), (429, {"retry-after": "soon"}, None),
        (500, {}, None), (503, {"retry-after": "5"}, 5.0), (404, {}, None), (403, {}, None),
        (302, {"location": "http://127.0.0.1:1/"}, None),
    ],
)  # fmt: skip
def test_anything_else_is_tried_again(
    server: FakeServer, script: Script, status: int, headers: dict[str, str], wait: float | None
) -> None:
    script.answers = [(status, headers, b"rollup_error")]
    with pytest.raises(Retryable) as told:
        send(server)
    assert told.value.retry_after_s == wait
    assert len(server.received) == 1


def test_slack_itself_must_say_ok(server: FakeServer, script: Script) -> None:
    script.answers = [(200, {}, b"<html>log in</html>")]
    with pytest.raises(Retryable, match="did not say ok"):
        send(server, {"service": "slack"})
    sent = send(server)
    assert (sent.status, sent.answer) == (200, "")  # another server's words are its own


def test_an_answer_that_repeats_the_secret_is_redacted(server: FakeServer, script: Script) -> None:
    script.answers = [(500, {}, b"cannot post to /services/T0SECRETPLACE/B1")]
    with pytest.raises(Retryable) as told:
        plugin_for("slack").send(
            message(), {"service": "slack"}, {"url": f"{server.url}/services/T0SECRETPLACE/B1"}
        )
    assert "T0SECRETPLACE" not in told.value.answer
    assert "cannot post" in told.value.answer


@pytest.mark.parametrize(
    "url",
    [
        "", "http://hooks.slack.com/services/T/B/x", "https://hooks.slack.com/triggers/T/B/x",
        "https://hooks.slack.com.evil.example/services/T/B/x", "https://evil.example/services/T/B/x",
        "https://hooks.slack.com:8443/services/T/B/x", "https://a@hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com/workflows/T/B/x", "https://xhooks.slack.com/services/T/B/x",
    ],
)  # fmt: skip
def test_only_slacks_webhook_addresses_are_slack(url: str) -> None:
    with pytest.raises(DomainError) as told:
        plugin_for("slack").clean({}, {"url": url})
    assert told.value.fields == ("url",)


@pytest.mark.parametrize("host", ["hooks.slack.com", "hooks.slack-gov.com"])
def test_slack_addresses_are_kept_and_hinted(host: str) -> None:
    plugin = plugin_for("slack")
    url = f"https://{host}/services/T0/B0/abcdefghij"
    settings, secret = plugin.clean({}, {"url": f" {url} "})
    assert (settings, secret) == ({"service": "slack"}, {"url": url})
    assert plugin.hint(settings, secret) == f"{host} …ghij"
