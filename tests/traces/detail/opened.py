"""The trace page as a reader opens it."""

from django.test import Client

URL = "/projects/shop/traces/t1/"


def page(reader: Client, query: str = "") -> str:
    response = reader.get(f"{URL}{query}")
    assert response.status_code == 200
    return response.content.decode()


def pane(reader: Client, span_id: str, tab: str = "io", **query: str) -> str:
    response = reader.get(
        f"{URL}steps/{span_id}/", {"tab": tab, **query}, headers={"HX-Request": "true"}
    )
    assert response.status_code == 200
    return response.content.decode()


def drawn(response) -> list:
    """The rows of an answer, without the places of those that are not drawn."""
    return [item["line"] for item in response.context["items"] if "line" in item]


def gaps(response) -> list[dict]:
    return [item["gap"] for item in response.context["items"] if "gap" in item]


def ids(response) -> list[str]:
    return [line.row.step.span_id for line in drawn(response)]
