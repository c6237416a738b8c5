"""The documentation names everything a reader can set, call or run; what is missing there fails here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(settings.BASE_DIR)
CODE = ("accounts", "alerts", "config", "core", "costs", "examples", "projects", "traces")
READERS = {"env_str", "env_int", "env_bool", "env_list", "env_secret", "getenv", "_read"}
# Not for people to set: make's own, the test run's, the shell's.
NOT_SETTINGS = {"MAKELEVEL", "PATH", "LC_ALL", "PYTEST_XDIST_WORKER"}


def doc(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _name_of(call: ast.AST) -> str:
    return getattr(call, "attr", getattr(call, "id", ""))


def settings_read(tree: ast.AST) -> Iterator[str]:
    """Names given to config.env, os.getenv, os.environ[…] and os.environ.get(…)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            is_environ = _name_of(function) in ("get", "setdefault") and (
                _name_of(getattr(function, "value", node)) == "environ"
            )
            names = node.args[:1] if _name_of(function) in READERS or is_environ else []
        elif isinstance(node, ast.Subscript) and _name_of(node.value) == "environ":
            names = [node.slice]
        else:
            continue
        for name in names:
            if isinstance(name, ast.Constant) and re.fullmatch(r"[A-Z][A-Z0-9_]+", str(name.value)):
                yield str(name.value)


def all_settings() -> set[str]:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    found: set[str] = set()
    for path in files:
        found |= set(settings_read(ast.parse(path.read_text(encoding="utf-8"))))
    return found - NOT_SETTINGS


def test_the_reader_of_settings_sees_them() -> None:
    found = all_settings()
    assert {"PORT", "LLMLAB_SECRET_KEY", "LLMLAB_WEB_PROCESSES", "SIMULATOR_PACE"} <= found
    assert len(found) >= 35


def test_every_setting_is_documented() -> None:
    text = doc("docs/configuration.md")
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", text))
    assert sorted(all_settings() - documented) == []


def test_every_documented_setting_is_read() -> None:
    """A name that nothing reads sends an operator the wrong way."""
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
    )
    documented = set(re.findall(r"^\| (`.+?`) \|", doc("docs/configuration.md"), re.MULTILINE))
    names = {name for cell in documented for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}
    # Some are put together from a prefix: LLMLAB_INIT_<NAME>, LLMLAB_<NAME>_PORT.
    unread = {
        name
        for name in names
        if name not in code and not name.startswith("LLMLAB_INIT_") and not name.endswith("_PORT")
    }
    assert unread == set()


def api_paths() -> set[str]:
    """Paths of the API as the OpenAPI document writes them."""
    found = set()

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> None:
        for entry in patterns:
            if isinstance(entry, URLResolver):
                walk(entry.url_patterns, prefix + str(entry.pattern))
                continue
            path = re.sub(
                r"\(\?P<(\w+)>[^)]*\)|<\w+:(\w+)>", r"{\1\2}", prefix + str(entry.pattern)
            )
            path = "/" + path.lstrip("^").rstrip("$").removesuffix("/?").rstrip("/")
            if path.startswith(("/api/", "/v1/")):
                found.add(path)

    walk(get_resolver().url_patterns, "")
    return found


def test_every_api_route_is_documented() -> None:
    text = doc("docs/api.md") + doc("docs/ingestion.md")
    found = api_paths()
    assert {"/v1/traces", "/api/v1/projects/{project}/keys/{key}/rotation"} <= found
    # openapi.yaml is mentioned beside openapi.json as "(or `.yaml`)".
    missing = [path for path in sorted(found - {"/api/v1/openapi.yaml"}) if path not in text]
    assert missing == []


def cli_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Commands of `llmlab` and their options, as they are typed."""
    monkeypatch.syspath_prepend(str(ROOT / "sdks" / "python" / "src"))
    from llmlab.cli.app import app
    from typer.main import get_command

    waiting: list[tuple[str, Any]] = [("llmlab", get_command(app))]
    while waiting:
        name, command = waiting.pop()
        inner = getattr(command, "commands", {})
        waiting += [(f"{name} {word}", inner[word]) for word in inner]
        if not inner:
            yield name
        yield from (word for one in command.params for word in one.opts if word.startswith("-"))


def test_every_command_and_option_of_the_command_line_is_documented(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = doc("docs/cli.md")
    found = set(cli_words(monkeypatch))
    assert {"llmlab traces tail", "llmlab check", "--max-cost-usd"} <= found
    # `llmlab keys create NAME`, `--rejected FILE`: a name may be followed by what it takes.
    missing = [word for word in sorted(found) if not re.search(rf"`{re.escape(word)}[` ]", text)]
    assert missing == []


def test_every_make_target_is_documented() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", doc("Makefile"), re.MULTILINE)) - {"help"}
    assert {"run", "test", "ci"} <= targets
    text = doc("docs/operations.md")
    assert [target for target in sorted(targets) if f"`{target}`" not in text] == []


def test_every_page_of_the_index_exists_and_every_page_is_in_it() -> None:
    index = doc("docs/index.md")
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", index))
    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs)) for path in docs.rglob("*.md")}
    assert linked == {page for page in pages if not page.startswith("adr/")} - {"index.md"}


@pytest.mark.parametrize(
    "page", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))
)
def test_links_lead_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", doc(page))
    assert [link for link in links if not (here / link).exists()] == []
