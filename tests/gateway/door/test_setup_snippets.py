"""The set-up page's code for calling models, and that the headers it names are those the door understands."""

import contextlib
import io
import json
import shlex
from collections.abc import Iterator

import httpx2
import pytest

from gateway.door import headers
from projects.gateway_snippets import languages, switches
from tests.fakes.simulator import running_simulator


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """It speaks both wires where the gateway does."""
    with running_simulator() as url:
        yield url


def test_the_code_says_hello_as_it_is_pasted(provider: str) -> None:
    python, _, curl = languages(base_url=provider, key="llmlab_sk_made")
    for one in python.codes:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(one.code, {})  # noqa: S102
        assert len(said.getvalue()) > 20, one.id
    for one in curl.codes:
        _, url, _, credentials, _, kind, _, body = shlex.split(one.code.replace("\\\n", " "))
        given = dict(line.split(": ", 1) for line in (credentials, kind))
        answer = httpx2.post(url, json=json.loads(body), headers=given)
        assert answer.is_success, answer.text


def test_every_header_it_names_is_understood() -> None:
    named = {name.lower().encode() for one in switches(base_url="x") for name in one.headers}
    known = {*headers._FIELDS, *headers._KEYS, headers._PROPERTY + b"*"}
    assert named - known == set()
