"""The OpenAPI document: without a warning for our part, served with its reader."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from projects import api_urls
from traces import door_urls


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
    assert {
        path: sorted(item) for path, item in paths.items() if "/otel/" in path or "/otlp/" in path
    } == {
        "/api/public/otel/v1/traces": ["post"],
        "/api/v1/private/otel/v1/traces": ["post"],
        "/api/v1/otlp/v1/traces": ["post"],
        "/api/otel/v1/traces": ["post"],
        "/otel/v1/traces": ["post"],
        "/otlp/v1/traces": ["post"],
    }
    named = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert set(named) <= set(schemas)
    ids = [item["operationId"] for path in paths.values() for item in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.django_db
def test_document_has_langfuses_paths(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    found = {
        path.removeprefix("/api/public"): sorted(item)
        for path, item in document["paths"].items()
        if path.startswith("/api/public/") and "/otel/" not in path
    }
    assert found == {
        "/ingestion": ["post"],
        "/health": ["get"],
        "/projects": ["get"],
        "/traces": ["get"],
        "/traces/{trace_id}": ["get"],
        "/observations": ["get"],
        "/observations/{observation_id}": ["get"],
        "/sessions": ["get"],
        "/sessions/{session_id}": ["get"],
        "/scores": ["get", "post"],
        "/scores/{score_id}": ["delete", "get"],
        "/v2/scores": ["get", "post"],
        "/v2/scores/{score_id}": ["delete", "get"],
    }
    door = document["paths"]["/api/public/ingestion"]["post"]
    assert sorted(door["responses"]) == ["207", "400", "401", "403", "413", "415", "429", "503"]
    assert "langfuseBasic" in document["components"]["securitySchemes"]
    # Every path of the document leads somewhere, and the views of Langfuse's API are all in it.
    for path in found:
        assert (
            resolve("/api/public" + path.replace("{", "").replace("}", "")).url_name
            != "langfuse_not_here"
        )
    named = {e.name for e in door_urls.urlpatterns if str(e.name).startswith("langfuse_")}
    assert len(found) == len(named - {"langfuse_not_here"})


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
