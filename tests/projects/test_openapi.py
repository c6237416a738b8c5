"""The OpenAPI document: without a warning for our part, served with its reader."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from projects import api_urls


def test_document_has_no_warnings() -> None:
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        document = SchemaGenerator(patterns=api_urls.urlpatterns).get_schema(
            request=None, public=True
        )
        assert (dict(GENERATOR_STATS._warn_cache), dict(GENERATOR_STATS._error_cache)) == ({}, {})
    assert {path: sorted(item) for path, item in document["paths"].items()} == {
        "/projects": ["get", "post"],
        "/projects/{project}": ["delete", "get", "patch"],
        "/projects/{project}/exports": ["get", "post"],
        "/projects/{project}/exports/{job}/file": ["get"],
        "/projects/{project}/jobs": ["get"],
        "/projects/{project}/jobs/{job}": ["get"],
        "/projects/{project}/jobs/{job}/cancellation": ["post"],
        "/projects/{project}/keys": ["get", "post"],
        "/projects/{project}/keys/{key}": ["delete"],
        "/projects/{project}/keys/{key}/rotation": ["post"],
    }
    assert document["openapi"] == "3.1.0"
    assert set(document["components"]["securitySchemes"]) >= {"apiKey", "apiKeyHeader"}


def test_whole_document_has_no_warnings_and_is_valid() -> None:
    """As `manage.py spectacular --fail-on-warn --validate` has it."""
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        document = SchemaGenerator().get_schema(request=None, public=True)
        assert (dict(GENERATOR_STATS._warn_cache), dict(GENERATOR_STATS._error_cache)) == ({}, {})
    validate_schema(document)
    # A name the generator made up (Status2a5Enum) changes with the next field of that name.
    made_up = re.compile(r"[0-9a-fA-F]{3}Enum$")
    assert [name for name in document["components"]["schemas"] if made_up.search(name)] == []


@pytest.mark.django_db
def test_document_has_the_doors(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    paths, schemas = document["paths"], document["components"]["schemas"]
    assert sorted(paths["/api/v1/projects/{project}/traces"]) == ["get", "post"]
    assert sorted(paths["/api/v1/projects/{project}/costs"]) == ["get", "post"]
    assert sorted(paths["/v1/traces"]) == ["post"]
    named = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert set(named) <= set(schemas)
    ids = [item["operationId"] for path in paths.values() for item in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "content_type"),
    [
        ("/api/v1/openapi.json", "application/vnd.oai.openapi+json"),
        ("/api/v1/openapi.yaml", "application/vnd.oai.openapi"),
        ("/api/docs/", "text/html"),
        ("/api/docs/?script=", "application/javascript"),
    ],
)
def test_document_and_reader_are_served(client: Client, url: str, content_type: str) -> None:
    response: Any = client.get(url)
    assert response.status_code == 200
    assert response["Content-Type"].startswith(content_type)
    if content_type == "text/html":
        assert b"<script>" not in response.content
        assert b"cdn" not in response.content
        assert b"<style>" not in response.content
