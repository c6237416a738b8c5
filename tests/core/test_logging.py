"""Nothing that looks like a credential is written to the log, wherever it stands in the record."""

import logging

import pytest
from django.conf import settings

from config.celery import app
from core.logging import RedactingFormatter, redact


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key llmlab_sk_abcdefghijkl used", "key llmlab_sk_[redacted] used"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
        ("x-api-key=hunter2hunter2 next", "x-api-key=[redacted] next"),
        ("sk-proj-abcdefghijklmnop", "sk-proj[redacted]"),
        ('{"password": "hunter2"}', '{"password": "[redacted]"}'),
        ("GET /x?key=hunter2&a=1", "GET /x?key=[redacted]&a=1"),
        ("17 tokens of 20 records", "17 tokens of 20 records"),
    ],
)
def test_credentials_are_replaced(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_arguments_and_tracebacks_are_redacted() -> None:
    formatter = RedactingFormatter("{message}", style="{")
    try:
        raise ValueError("bad key llmlab_sk_tracebacktraceback")
    except ValueError as error:
        record = logging.LogRecord(
            "x",
            logging.ERROR,
            __file__,
            1,
            "failed for %s",
            ("llmlab_sk_argumentargument",),
            (ValueError, error, error.__traceback__),
        )
    written = formatter.format(record)
    assert "failed for llmlab_sk_[redacted]" in written
    assert "ValueError: bad key llmlab_sk_[redacted]" in written
    assert "argumentargument" not in written
    assert "tracebacktraceback" not in written


def test_every_handler_redacts_and_celery_leaves_them_alone() -> None:
    handlers = settings.LOGGING["handlers"].values()
    formatters = settings.LOGGING["formatters"]
    assert {formatters[handler["formatter"]]["()"] for handler in handlers} == {
        "core.logging.RedactingFormatter"
    }
    assert app.conf.worker_hijack_root_logger is False
