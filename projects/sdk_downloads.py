"""The SDKs as packages that this server hands out under `/sdks/`, so that a self-hosted user needs no other place.

They are packed from the source beside this code when first asked for, and again after that source changed: Python as a
wheel, Go as its source, JavaScript as the npm package that `make sdk-build` compiled (nothing in Python can). The same
source gives the same bytes, which lock files of pip and npm rely on.
"""

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings

SDKS = Path(settings.BASE_DIR) / "sdks"
LICENSE = Path(settings.BASE_DIR) / "LICENSE"
GO_MODULE = "github.com/llmlab/llmlab/sdks/go"
# The folder inside Go's archive, the same in every release: `replace` directives point at it.
GO_FOLDER = "llmlab-go"


@dataclass(frozen=True)
class Download:
    """One file to hand out."""

    name: str
    content_type: str
    content: bytes
    etag: str


def file_names() -> dict[str, str]:
    """What the packages are called, by language. pip insists on the wheel's name."""
    version = settings.LLMLAB_VERSION
    return {
        "python": f"llmlab-{version}-py3-none-any.whl",
        "javascript": f"llmlab-js-{version}.tgz",
        "go": f"llmlab-go-{version}.tar.gz",
    }


def is_javascript_built(sdks: Path = SDKS) -> bool:
    """Whether `make sdk-build` ran here."""
    return (sdks / "js" / "dist" / "esm" / "index.js").exists()


def download(name: str, *, sdks: Path = SDKS) -> Download | None:
    """The package of this name; None when there is none, or its JavaScript is not built."""
    language = next((key for key, known in file_names().items() if known == name), None)
    if language is None:
        return None
    files = tuple(_sources(language, sdks))
    if not files or (language == "javascript" and not is_javascript_built(sdks)):
        return None
    stamp = hashlib.sha256(
        "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in files).encode()
    ).hexdigest()
    return _packed(language, name, sdks, files, stamp)


def _sources(language: str, sdks: Path) -> Iterator[Path]:
    """Every file that goes into the package, in order."""
    folder = sdks / {"python": "python", "javascript": "js", "go": "go"}[language]
    patterns = {
        "python": ("pyproject.toml", "README.md", "src/**/*"),
        "javascript": ("package.json", "README.md", "dist/**/*"),
        "go": ("go.mod", "README.md", "**/*.go"),
    }[language]
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            is_left_out = path.suffix == ".pyc" or path.name.endswith("_test.go")
            if path.is_file() and not is_left_out:
                yield path


@lru_cache(maxsize=8)
def _packed(language: str, name: str, sdks: Path, files: tuple[Path, ...], stamp: str) -> Download:
    """Packed once; `stamp` is what makes it stale."""
    if language == "python":
        content, content_type = _wheel(sdks / "python"), "application/zip"
    elif language == "javascript":
        content, content_type = _archive(files, sdks / "js", "package"), "application/gzip"
    else:
        content, content_type = _archive(files, sdks / "go", GO_FOLDER), "application/gzip"
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Download(name, content_type, content, etag)


def _wheel(folder: Path) -> bytes:
    # Here, not above: nobody else needs it, and it is a tenth of a second.
    from hatchling.builders.wheel import WheelBuilder

    with tempfile.TemporaryDirectory(prefix="llmlab-sdk-") as directory:
        (path,) = WheelBuilder(str(folder)).build(directory=directory, versions=["standard"])
        return Path(path).read_bytes()


def _archive(files: tuple[Path, ...], root: Path, folder: str) -> bytes:
    """A .tar.gz of these files below one folder, without times and owners."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        named = [(path, path.relative_to(root).as_posix()) for path in files]
        for path, inside in [*named, (LICENSE, "LICENSE")]:
            entry = tarfile.TarInfo(f"{folder}/{inside}")
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
