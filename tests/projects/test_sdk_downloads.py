"""The SDKs handed out under /sdks/: names, bytes, and what is said where there is nothing."""

import io
import json
import os
import re
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from projects.sdk_downloads import GO_MODULE, LICENSE, SDKS, download, file_names

WHEEL, NPM, GO = file_names().values()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The SDKs' folder in small: what Go and npm packages are made of."""
    (tmp_path / "js" / "dist" / "esm").mkdir(parents=True)
    (tmp_path / "js" / "package.json").write_text("{}")
    (tmp_path / "js" / "src.ts").write_text("not shipped")
    (tmp_path / "go").mkdir()
    for name in ("go.mod", "a.go", "a_test.go", "notes.txt"):
        (tmp_path / "go" / name).write_text(name)
    return tmp_path


def names_in(content: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


def test_every_sdk_carries_the_version_of_the_server() -> None:
    python = tomllib.loads((SDKS / "python" / "pyproject.toml").read_text())["project"]["version"]
    module = re.findall(r'= "(.+)"', (SDKS / "python/src/llmlab/version.py").read_text())[0]
    javascript = json.loads((SDKS / "js" / "package.json").read_text())["version"]
    script = re.findall(r'VERSION = "(.+)"', (SDKS / "js" / "src" / "version.ts").read_text())[0]
    go = re.findall(r'Version = "(.+)"', (SDKS / "go" / "doc.go").read_text())[0]
    assert {python, module, javascript, script, go} == {settings.LLMLAB_VERSION}
    assert f"module {GO_MODULE}\n" in (SDKS / "go" / "go.mod").read_text()


def test_python_wheel_holds_the_package_and_its_types() -> None:
    response = Client().get(f"/sdks/{WHEEL}")
    assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(f"llmlab-{settings.LLMLAB_VERSION}.dist-info/METADATA").decode()
    assert {"llmlab/__init__.py", "llmlab/py.typed"} <= names
    assert not [name for name in names if "test_" in name or name.endswith(".pyc")]
    assert "\nName: llmlab\n" in metadata


def test_go_source_comes_without_its_tests(copy: Path) -> None:
    found = download(GO, sdks=copy)
    assert found is not None
    assert names_in(found.content) == ["llmlab-go/go.mod", "llmlab-go/a.go", "llmlab-go/LICENSE"]
    assert Client().get(f"/sdks/{GO}").status_code == 200


def test_javascript_that_is_not_built_says_how(copy: Path, client: Client) -> None:
    assert download(NPM, sdks=copy) is None
    (copy / "js" / "dist" / "esm" / "index.js").write_text("export {};")
    found = download(NPM, sdks=copy)
    assert found is not None
    inside = ["package.json", "dist/esm/index.js", "LICENSE"]
    assert names_in(found.content) == [f"package/{name}" for name in inside]
    shutil.rmtree(copy / "js" / "dist")
    assert download(NPM, sdks=copy) is None
    here = client.get(f"/sdks/{NPM}")
    assert here.status_code == 200 or (
        here.status_code == 404 and b"make sdk-build" in here.content
    )


def test_the_same_source_gives_the_same_bytes_and_another_gives_others(copy: Path) -> None:
    first = download(GO, sdks=copy)
    os.utime(copy / "go" / "a.go", ns=(1, 1))
    again = download(GO, sdks=copy)
    assert first is not None
    assert again is not None
    assert again is not first
    assert again.content == first.content
    (copy / "go" / "a.go").write_text("package other")
    changed = download(GO, sdks=copy)
    assert changed is not None
    assert changed.etag != first.etag


def test_unchanged_is_answered_304_without_a_body(client: Client) -> None:
    first = client.get(f"/sdks/{GO}")
    again = client.get(f"/sdks/{GO}", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert client.head(f"/sdks/{GO}").status_code == 200
    assert client.post(f"/sdks/{GO}").status_code == 405


@pytest.mark.parametrize("name", ["llmlab-9.9.9.tgz", "..", "pyproject.toml", "%2e%2e%2fgo.mod"])
def test_anything_else_is_not_there(name: str, client: Client) -> None:
    assert client.get(f"/sdks/{name}").status_code == 404


def test_the_licence_is_there_to_be_packed() -> None:
    assert LICENSE.exists()
