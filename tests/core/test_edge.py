"""What the edge makes of failures: the API's one error shape for programs, a page for people, never a stray 500."""

import gzip
import json
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from core import middleware
from core.errors import ConflictError
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db


def edge() -> middleware.DomainErrorMiddleware:
    return middleware.DomainErrorMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/v1/nothing", "/api/v1/projects/x/traces/%00", "/v1/%00"]
)
def test_an_address_of_the_api_that_is_not_there_speaks_json(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 404
    assert response.json() == {
        "detail": "There is nothing at this address.",
        "code": "not_found",
        "fields": [],
    }


@pytest.mark.parametrize("path", ["/nothing/", "/projects/%00/", "/traces/%00/", "/api/nothing"])
def test_a_page_that_is_not_there_is_a_page(path: str) -> None:
    client = Client()
    client.force_login(UserFactory.create())
    response = client.get(path)
    assert response.status_code == 404
    assert "<h1" in response.content.decode()


@pytest.mark.parametrize(
    ("path", "words"),
    [("/projects/", b"Back in a moment"), ("/api/v1/projects", b'"storage_unavailable"')],
)
def test_a_database_that_is_away_is_503_with_retry_after(
    path: str, words: bytes, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        response = edge().process_exception(RequestFactory().get(path), OperationalError("gone"))
    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert words in response.content
    assert b"gone" not in response.content


def test_a_refusal_keeps_its_status_and_a_bug_stays_a_bug() -> None:
    request = RequestFactory().get("/api/v1/x")
    response = edge().process_exception(request, ConflictError("Taken.", fields=["slug"]))
    assert response is not None
    assert (response.status_code, json.loads(response.content)) == (
        409,
        {"detail": "Taken.", "code": "conflict", "fields": ["slug"]},
    )
    assert edge().process_exception(request, ValueError("a bug")) is None


def test_a_bug_in_the_api_is_json_without_details() -> None:
    response = middleware.server_error(RequestFactory().get("/api/v1/x"))
    assert response.status_code == 500
    assert json.loads(response.content)["code"] == "server_error"
    page = middleware.server_error(RequestFactory().get("/projects/"))
    assert (page.status_code, b"Something broke" in page.content) == (500, True)


def _answered(response: Any, method: str = "GET", **headers: str) -> HttpResponse:
    request = RequestFactory().generic(method, "/x", headers={"Accept-Encoding": "gzip", **headers})
    answer = middleware.PageGZipMiddleware(lambda _: response)(request)
    assert isinstance(answer, HttpResponse | StreamingHttpResponse)
    return answer  # type: ignore[return-value]


def test_pages_travel_compressed_and_padded() -> None:
    page = b"<p>step</p>" * 2_000
    sizes = set()
    for _ in range(20):
        answer = _answered(HttpResponse(page))
        assert answer["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.content) == page
        sizes.add(len(answer.content))
    assert max(sizes) < 1_000
    assert len(sizes) > 1  # of a random length, whatever is in it


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (HttpResponse(b"x" * 9_000, content_type="application/json"), "GET"),
        (HttpResponse(b"x" * 9_000), "POST"),
        (HttpResponse(b"x" * 100), "GET"),
        (StreamingHttpResponse([b"x" * 9_000], content_type="text/html"), "GET"),
    ],
)
def test_what_is_no_page_stays_as_it_is(response: Any, method: str) -> None:
    assert "Content-Encoding" not in _answered(response, method)
