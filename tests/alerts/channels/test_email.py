"""E-mail over a real SMTP server: copies, refusals, threads, and names that try to be headers."""

import re
from typing import Any

import pytest
from django.test import override_settings
from django.test.signals import template_rendered

from alerts.channels.base import Permanent, Retryable, Sent
from alerts.channels.email import send_to
from alerts.channels.registry import plugin_for
from core.errors import DomainError
from tests.alerts.channels.notices import NASTY, message
from tests.fakes.smtp import SmtpServer, smtp

__all__ = ["smtp"]
A, B, C = "a@example.com", "b@example.com", "c@example.com"


def test_each_address_gets_a_copy_with_text_and_html(smtp: SmtpServer) -> None:
    sent = plugin_for("email").send(message(), {"to": [A, B]}, {})
    assert sent.answer == "Sent to 2 of 2."
    assert [address for address, _ in smtp.taken] == [A, B]
    mail = smtp.taken[0][1]
    assert mail["To"] == A
    assert mail["Subject"] == "[Critical] Budget at 104 %: Support bot"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = (part.get_content() for part in mail.iter_parts())  # type: ignore[attr-defined]
    for body in (text, html):
        assert "$104.11 of $100.00" in body
        assert "gpt-5.5" in body
        assert "Ask the support team." in body
        assert "https://llmlab.example/organizations/acme/alerts/1/" in body
    assert len(re.findall(r"<div style=\"height:\d+px", html)) == 2  # a gap where nothing is known


def test_copies_are_written_once(smtp: SmtpServer) -> None:
    drawn: list[Any] = []

    def note(**what: Any) -> None:
        drawn.append(what["template"].name)

    template_rendered.connect(note)
    try:
        send_to([A, B, C], message())
    finally:
        template_rendered.disconnect(note)
    assert sorted(drawn) == [
        f"alerts/channels/emails/notice.body.{kind}" for kind in ("html", "txt")
    ]
    assert [(address, mail["To"]) for address, mail in smtp.taken] == [(A, A), (B, B), (C, C)]


def test_mails_of_an_incident_thread_and_tries_repeat_their_id(smtp: SmtpServer) -> None:
    for action, state in (("trigger", "firing"), ("trigger", "firing"), ("resolve", "resolved")):
        send_to([A], message(action, state=state))
    first, again, last = (mail for _, mail in smtp.taken)
    assert first["Message-ID"] == again["Message-ID"]
    assert first["References"] == last["References"] == last["In-Reply-To"]
    assert last["Subject"].startswith("[Resolved] ")


def test_names_make_no_header_and_no_markup(smtp: SmtpServer) -> None:
    nasty = NASTY + "<script>alert(1)</script>" + "😀" * 10_000
    send_to(
        [A],
        message(title=nasty, words=nasty, rows=((nasty, nasty),), note=nasty, organization=nasty),
    )
    mail = smtp.taken[0][1]
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"]
    assert len(mail["Subject"].strip()) <= 78
    html = list(mail.iter_parts())[1].get_content()  # type: ignore[attr-defined]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_partial_refusal_is_named(smtp: SmtpServer) -> None:
    smtp.refuse = {B: "550 5.1.1 no such user"}
    sent = send_to([A, B, C], message())
    assert [address for address, _ in smtp.taken] == [A, C]
    assert sent == Sent(answer="Sent to 2 of 3. Refused: b@example.com (550 5.1.1 no such user)")


def test_who_is_not_taken_yet_is_tried_again_alone(smtp: SmtpServer) -> None:
    smtp.refuse = {B: "452 4.2.2 mailbox full"}
    with pytest.raises(Retryable, match="mailbox full") as told:
        send_to([A, B], message())
    assert told.value.taken == {A}
    smtp.refuse = {}
    assert send_to([A, B], message(taken=told.value.taken)).answer == "Sent to 2 of 2."
    assert [address for address, _ in smtp.taken] == [A, B]


@pytest.mark.parametrize(
    ("answer", "disables"),
    [
        ("550 5.1.1 no such user", True), ("553 mailbox name not allowed", True),
        ("550 5.7.1 relaying denied", False), ("554 5.7.1 blocked", False), ("550 Relay not permitted", False),
    ],
)  # fmt: skip
def test_when_no_address_is_taken_for_good(smtp: SmtpServer, answer: str, disables: bool) -> None:
    smtp.refuse = {A: answer, B: answer}
    with pytest.raises(Permanent, match="Nobody could be sent it") as told:
        send_to([A, B], message())
    assert told.value.disables is disables


def test_a_message_refused_as_such_is_given_up_and_the_channel_stays(smtp: SmtpServer) -> None:
    smtp.data_answer = "554 5.6.0 bad content"
    with pytest.raises(Permanent, match="bad content") as told:
        send_to([A], message())
    assert not told.value.disables
    smtp.data_answer = "451 later"
    with pytest.raises(Retryable, match="later"):
        send_to([A], message())


def test_a_mail_server_that_is_away_is_tried_again() -> None:
    where = {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": 1, "EMAIL_TIMEOUT": 2,
    }  # fmt: skip
    with override_settings(**where), pytest.raises(Retryable, match="mail server"):
        send_to([A], message())


def test_a_digest_can_be_stopped_with_one_click(smtp: SmtpServer) -> None:
    send_to(
        [A], message("digest", state="", extra={"unsubscribe": "https://llmlab.example/stop/x/"})
    )
    mail = smtp.taken[0][1]
    assert mail["List-Unsubscribe"] == "<https://llmlab.example/stop/x/>"
    assert mail["References"] is None


def test_addresses_are_read_from_text_and_checked() -> None:
    plugin = plugin_for("email")
    settings, _ = plugin.clean(
        {"to": "a@example.com, B@example.com;\nb@example.com c@example.com"}, {}
    )
    assert settings == {"to": ["a@example.com", "B@example.com", "c@example.com"]}
    assert plugin.hint(settings, {}) == "a@example.com, B@example.com, c@example.com"
    for bad in (
        "",
        "nobody",
        "a@example.com\r\nBcc:",
        [1],
        {"a": 1},
        [f"a{n}@example.com" for n in range(21)],
    ):
        with pytest.raises(DomainError) as told:
            plugin.clean({"to": bad}, {})
        assert told.value.fields == ("to",)
