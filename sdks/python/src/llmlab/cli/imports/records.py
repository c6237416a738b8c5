"""Records of a file, one after the other: JSON Lines, one JSON document, CSV; packed with gzip or not."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from llmlab.cli.errors import CliError
from llmlab.cli.imports.units import Rejected, load

_PIECE = 1 << 20
_HEAD = 1 << 16
# A whole document has to lie in memory; lines do not.
MAX_DOCUMENT = 1 << 30
LISTS = ("traces", "observations", "data", "costs", "scores", "spans", "batches")


class Record(NamedTuple):
    """One record, the line (of JSON Lines and CSV) or number (of a document) it has, and the list it stood in."""

    line: int
    value: Any
    list_name: str = ""


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """The bytes, unpacked when the file is gzip."""
    with ExitStack() as stack:
        try:
            file: BinaryIO = stack.enter_context(path.open("rb"))
            magic = file.read(2)
            file.seek(0)
        except OSError as error:
            raise CliError(f"{path} cannot be read: {error.strerror or error}.") from None
        if magic == b"\x1f\x8b":
            file = stack.enter_context(cast(BinaryIO, gzip.GzipFile(fileobj=file)))
        yield file


def digest(path: Path) -> str:
    """SHA-256 of the file as it lies there."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def kind_of(path: Path) -> str:
    """`csv`, `lines` or `document`."""
    with open_file(path) as file:
        try:
            head = file.read(_HEAD)
        except (OSError, EOFError) as error:
            raise CliError(f"{path} is packed but damaged: {error}.") from None
    text = head.decode("utf-8-sig", "replace").lstrip()
    if not text:
        raise CliError(f"{path} is empty.")
    if text[0] not in "[{":
        return "csv"
    if text[0] == "[":
        return "document"
    # One object a line is JSON Lines; an object that goes on over lines is a document.
    first = text.split("\n", 1)[0].strip()
    try:
        json.loads(first)
    except ValueError:
        return "lines" if len(head) == _HEAD and "\n" not in text else "document"
    return "lines"


def read(path: Path, kind: str) -> Iterator[Record | Rejected]:
    """All records in their order. Raises CliError for a file that cannot be read at all."""
    try:
        with open_file(path) as file:
            if kind == "csv":
                yield from _csv(file)
            elif kind == "lines":
                yield from _lines(file)
            else:
                yield from _document(file, path)
    except (OSError, EOFError) as error:
        raise CliError(f"{path} cannot be read to its end: {error}.") from None


def _lines(file: BinaryIO) -> Iterator[Record | Rejected]:
    for number, line in enumerate(file, 1):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        try:
            value = load(line)
        except (ValueError, UnicodeDecodeError) as error:
            yield Rejected(number, f"it is no JSON: {error}")
            continue
        # An object of lists on one line (an API's page, a whole export) holds many records.
        names = _list_names(value)
        if names:
            yield from (Record(number, item, name) for name in names for item in value[name])
        else:
            yield Record(number, value)


def _list_names(value: Any) -> list[str]:
    """The lists of records in an object that is itself none."""
    if not isinstance(value, dict) or "id" in value or "trace_id" in value or "traceId" in value:
        return []
    return [name for name in LISTS if isinstance(value.get(name), list) and name != "batches"]


def _document(file: BinaryIO, path: Path) -> Iterator[Record | Rejected]:
    text = file.read(MAX_DOCUMENT + 1)
    if len(text) > MAX_DOCUMENT:
        raise CliError(
            f"{path} is one JSON document of more than 1 GiB. Write it as JSON Lines, one record a line."
        )
    try:
        value = load(text.decode("utf-8-sig"))
    except (ValueError, UnicodeDecodeError) as error:
        raise CliError(f"{path} is no JSON: {error}.") from None
    del text
    if isinstance(value, list):
        yield from (Record(number, item) for number, item in enumerate(value, 1))
        return
    number = 0
    names = _list_names(value)
    for name in names:
        for item in value[name]:
            number += 1
            yield Record(number, item, name)
    if not names:
        yield Record(1, value)


def _csv(file: BinaryIO) -> Iterator[Record | Rejected]:
    csv.field_size_limit(64 * 1024 * 1024)  # LiteLLM writes whole conversations into cells
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="") as text:
        yield from _rows(text)


def _rows(text: io.TextIOWrapper) -> Iterator[Record | Rejected]:
    rows = csv.reader(text)
    header = next(rows, None)
    if not header:
        raise CliError("The CSV file has no header.")
    names = [name.strip() for name in header]
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield Rejected(line, f"it is no CSV: {error}")
            continue
        if cells is None:
            return
        if not any(cells):
            continue
        if len(cells) != len(names):
            yield Rejected(line, f"it has {len(cells)} cells, the header {len(names)}")
            continue
        yield Record(line, dict(zip(names, cells)))
