"""Production's static files: hashed names, and every reference of a template, style sheet or module resolves."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.templatetags.static import static
from django.test import override_settings

from config.settings import base

ROOT = Path(__file__).resolve().parents[2]
STATIC_TAG = re.compile(r"""{%\s*static\s+["']([^"']+)["']""")
IN_CODE = re.compile(r"""\bstatic\(\s*["']([^"']+)["']""")
IMPORT = re.compile(
    r"""^\s*(?:import|export)\b[^"';]*["'](\.[^"']+)["']|\bimport\(\s*["'](\.[^"']+)""", re.M
)
CSS_URL = re.compile(r"""(?:@import\s+(?:url\()?|url\()\s*["']?([^"')\s;]+)""")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
NAMED = re.compile(r"""static ['"]((?:css|js)/[^'"]+\.(?:css|js))['"]""")


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("static")
    storages = base.STORAGES | {"staticfiles": {"BACKEND": "core.staticfiles.ManifestStorage"}}
    with override_settings(STATIC_ROOT=root, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
        yield root


def _own(root: Path, suffix: str) -> list[Path]:
    """Our files under their hashed names."""
    found = [
        path
        for folder in ("css", "js", "img")
        for path in (root / folder).rglob(f"*{suffix}")
        if HASHED.search(path.name)
    ]
    assert found
    return found


def _references(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        found = CSS_URL.findall(COMMENT.sub("", text))
    else:
        found = [one or other for one, other in IMPORT.findall(text)]
    return [name for name in found if not name.startswith(("data:", "#"))]


def test_every_static_tag_names_a_collected_file(collected: Path) -> None:
    names = {
        name
        for folder in ("templates", "core", "accounts", "projects", "costs", "traces")
        for pattern, regex in (("*.html", STATIC_TAG), ("*.py", IN_CODE))
        for path in (ROOT / folder).rglob(pattern)
        for name in regex.findall(path.read_text(encoding="utf-8"))
    }
    assert {"css/app.css", "js/app.js", "img/favicon.svg"} <= names
    for name in sorted(names):
        url = static(name)  # a name the manifest does not have raises
        assert HASHED.search(url), name
        assert (collected / url.removeprefix("/static/")).is_file(), name


@pytest.mark.parametrize("suffix", [".css", ".js"])
def test_every_reference_leads_to_a_hashed_file(collected: Path, suffix: str) -> None:
    seen = 0
    for path in _own(collected, suffix):
        for reference in _references(path):
            target = posixpath.normpath(
                posixpath.join(path.parent.as_posix(), reference.split("#")[0].split("?")[0])
            )
            assert Path(target).is_file(), f"{path.name}: {reference}"
            assert HASHED.search(target), f"{path.name}: {reference} is not hashed"
            seen += 1
    assert seen >= 15


def test_every_own_style_sheet_and_module_is_used(collected: Path) -> None:
    """Reached from what a template names: what nobody imports is dead."""
    named = {
        name
        for path in (ROOT / "templates").rglob("*.html")
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
    }
    assert {"css/app.css", "js/app.js"} <= named
    for folder, suffix in (("css", ".css"), ("js", ".js")):
        reached: set[str] = set()
        waiting = [
            collected / staticfiles_storage.stored_name(name)
            for name in named
            if name.endswith(suffix)
        ]
        while waiting:
            path = waiting.pop()
            if str(path) in reached:
                continue
            reached.add(str(path))
            waiting += [
                Path(posixpath.normpath(posixpath.join(path.parent.as_posix(), name)))
                for name in _references(path)
                if name.endswith(suffix)
            ]
        stored = {
            str(
                collected
                / staticfiles_storage.stored_name(p.relative_to(ROOT / "static").as_posix())
            )
            for p in (ROOT / "static" / folder).rglob(f"*{suffix}")
        }
        assert stored <= reached, sorted(stored - reached)
