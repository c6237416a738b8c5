"""A test calls as real calls do and tells in the provider's own words what came of it, without secrets."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from core import crypto
from core.errors import ConflictError, DomainError
from gateway.connections import checking
from gateway.connections.probing import chosen, probe
from gateway.models import Connection
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.fakes.dns import dns_stub
from tests.fakes.http_server import Answer, Received, running_server
from tests.fakes.simulator import running_simulator

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    with (
        running_simulator() as url,
        override_settings(LLMLAB_OUTBOUND_ALLOW=[url.removeprefix("http://")]),
    ):
        yield url


def outcome_of(row: Connection, actor: Any, model: str = "") -> Connection:
    started = checking.start_test(connection=row, actor=actor, now=timezone.now(), model=model)
    at = started.check_started_at
    assert at
    assert checking.run_test(connection_id=row.pk, started_at=at, now=timezone.now, model=model)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(("kind", "path"), [("openai", "/v1"), ("anthropic", ""), ("compatible", "/v1")])  # fmt: skip
def test_a_working_connection_says_who_answered(
    acme: SimpleNamespace, simulator: str, kind: str, path: str
) -> None:
    row = ConnectionFactory.create(
        organization=acme.organization, kind=kind, base_url=simulator + path
    )
    key = ConnectionKeyFactory.create(connection=row)
    row = outcome_of(row, acme.admin.user)
    assert row.check_state == "ok"
    assert row.check_message == f"{row.check_model} answered in {row.check_ms} ms."
    assert row.check_model in row.offered_models
    assert row.check_model.startswith("claude-haiku") == (kind == "anthropic")
    key.refresh_from_db()
    assert (key.last_error, key.checked_at) == ("", row.checked_at)


def test_a_refused_key_is_told_in_the_providers_words_beside_one_that_works(
    acme: SimpleNamespace, simulator: str
) -> None:
    row = ConnectionFactory.create(organization=acme.organization, base_url=f"{simulator}/v1")
    good = ConnectionKeyFactory.create(connection=row)
    bad = ConnectionKeyFactory.create(connection=row, secret="sk-wrong-000000-invalid")
    row = outcome_of(row, acme.admin.user)
    assert row.check_state == "error"
    assert row.check_message == f"Key {bad.hint}: 401: Incorrect API key provided."
    good.refresh_from_db()
    assert good.last_error == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, b'{"error": {"message": "No, sk-tenant-0000000000 may not."}}'), "403: No, ••• may not."),
        ((404, b'[{"error": {"message": "No such model."}}]'), "404: No such model."),
        ((502, b"<html>bad gateway</html>"), "502: <html>bad gateway</html>"),
        ((200, b"<html>hello</html>"), "200, but no answer as this kind of API gives it: <html>hello</html>"),
        ((200, b"[]"), "200, but no answer as this kind of API gives it: []"),
        ((200, b"x" * 3_000_000), "larger than 2 MiB"),
        ((307, b""), "307"),
    ],
)  # fmt: skip
def test_what_else_may_come_of_it(acme: SimpleNamespace, answer: Any, words: str) -> None:
    def reply(request: Received, _number: int) -> Answer:
        if request.path.endswith("/models"):
            return 404, {}, b""
        return answer[0], {"location": "http://169.254.169.254/"}, answer[1]

    with running_server(reply) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        row = ConnectionFactory.create(
            organization=acme.organization, base_url=f"{fake.url}/v1", model_names=["gpt-4o"]
        )
        ConnectionKeyFactory.create(connection=row)
        row = outcome_of(row, acme.admin.user)
    assert row.check_state == "error"
    assert words in row.check_message
    assert len(fake.received) == 2


def test_an_address_that_is_private_now_is_not_called(acme: SimpleNamespace) -> None:
    """The operator took it off the list, or its name leads elsewhere since it was saved."""
    with running_server(lambda _request, _number: (200, {}, b"{}")) as fake:
        row = ConnectionFactory.create(
            organization=acme.organization, base_url=f"{fake.url}/v1", model_names=["gpt-4o"]
        )
        ConnectionKeyFactory.create(connection=row)
        assert "private or reserved" in outcome_of(row, acme.admin.user).check_message
        assert fake.received == []


def test_a_name_that_leads_inside_since_it_was_saved_finds_nobody(acme: SimpleNamespace) -> None:
    """Judged when saved, then its answer changes: neither the list of models nor the call connects."""
    row = ConnectionFactory.create(organization=acme.organization, model_names=["gpt-4o"])
    ConnectionKeyFactory.create(connection=row)
    with (
        running_server(lambda _request, _number: (200, {}, b"{}")) as fake,
        dns_stub({"llm.example": [["8.8.8.8"], ["127.0.0.1"]]}) as stub,
    ):
        row.base_url = f"https://llm.example:{fake.url.rpartition(':')[2]}/v1"
        assert stub.resolve("llm.example", 443) == ["8.8.8.8"]

        async def resolve(host: str, port: int) -> list[str]:
            return await asyncio.to_thread(stub.resolve, host, port)

        cipher = crypto.data_cipher(row.organization.data_key)
        seen = asyncio.run(probe(checking.view_of(row, NOW), cipher, now=NOW, resolve=resolve))
        assert "private or reserved" in seen.words
        assert fake.received == []


def test_without_key_or_model_the_test_says_so(acme: SimpleNamespace) -> None:
    row = ConnectionFactory.create(organization=acme.organization, name="Bare")
    assert outcome_of(row, acme.admin.user).check_message == "Bare has no key that may be used."
    azure = ConnectionFactory.create(
        organization=acme.organization, kind="azure", base_url="https://8.8.8.8"
    )
    ConnectionKeyFactory.create(connection=azure)
    assert "name one under" in outcome_of(azure, acme.admin.user).check_message


def test_one_test_at_a_time_and_a_lost_one_is_told(acme: SimpleNamespace) -> None:
    row, actor = ConnectionFactory.create(organization=acme.organization), acme.admin.user
    row = checking.start_test(connection=row, actor=actor, now=NOW)
    with pytest.raises(ConflictError, match="under way"):
        checking.start_test(connection=row, actor=actor, now=NOW + dt.timedelta(seconds=89))
    with pytest.raises(DomainError, match="no model name"):
        checking.start_test(connection=row, actor=actor, now=NOW + checking.PATIENCE, model="a b")
    assert checking.is_testing(row, NOW)
    later = NOW + checking.PATIENCE
    assert checking.is_lost(row, later)
    assert not checking.run_test(connection_id=row.pk, started_at=NOW, now=lambda: later)
    again = checking.start_test(connection=row, actor=actor, now=later)
    assert not checking.run_test(connection_id=row.pk, started_at=NOW, now=lambda: later)
    assert checking.run_test(connection_id=row.pk, started_at=later, now=lambda: later)
    again.refresh_from_db()
    assert again.checked_at == later


def test_the_cheapest_model_that_talks_is_asked(acme: SimpleNamespace) -> None:
    row = ConnectionFactory.create(organization=acme.organization)
    view = checking.view_of(row, NOW)
    offered = ["text-embedding-3-small", "gpt-4o", "gpt-4o-mini", "whisper-1", "gpt-99"]
    assert chosen(view, offered, NOW) == "gpt-4o-mini"
    assert chosen(view, ["gpt-99", "gpt-9"], NOW) == "gpt-9"
    assert chosen(view, ["text-embedding-3-small"], NOW) == "text-embedding-3-small"
