"""Which format a file has, and how each is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmlab.cli.errors import CliError
from llmlab.cli.imports import langfuse, litellm, openai_usage, otlp, own
from llmlab.cli.imports.facts import TraceFacts
from llmlab.cli.imports.records import Record, kind_of, read
from llmlab.cli.imports.units import Item, Rejected, RowError, Unit

FORMATS = {
    "jsonl": "LLMLab's own export, or lines in the shape of its doors",
    "otlp": "OTLP JSON",
    "langfuse": "Langfuse export",
    "litellm": "LiteLLM spend logs (CSV)",
    "openai": "OpenAI usage (CSV)",
}
_LOOKED_AT = 20


class Source:
    """One file and its format."""

    def __init__(self, path: Path, form: str) -> None:
        self.path = path
        self.kind = kind_of(path)
        self.form = form or detect(path, self.kind)
        if (self.kind == "csv") != (self.form in ("litellm", "openai")):
            wanted = "a CSV file" if self.form in ("litellm", "openai") else "JSON or JSON Lines"
            raise CliError(f"{path} is not {wanted}, which --format {self.form} reads.")

    def records(self) -> Iterator[Record | Rejected]:
        """As they stand in the file."""
        return read(self.path, self.kind)

    def scan(self, facts: TraceFacts) -> int:
        """The first pass: how many records there are, and what traces say about themselves."""
        look = {"jsonl": own.scan, "langfuse": langfuse.scan}.get(self.form)
        count = 0
        for record in self.records():
            count += 1
            if look is not None and isinstance(record, Record) and isinstance(record.value, dict):
                look(record, facts)
        return count

    def items(self, facts: TraceFacts) -> Iterator[list[Item]]:
        """The second pass: what to send, record by record; a row that cannot be understood says why."""
        for record in self.records():
            if isinstance(record, Rejected):
                yield [record]
                continue
            try:
                yield list(self._convert(record, facts))
            except RowError as error:
                yield [Rejected(record.line, str(error))]
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                yield [
                    Rejected(
                        record.line,
                        f"it is not of the shape of this format ({type(error).__name__}: {error})",
                    )
                ]

    def _convert(self, record: Record, facts: TraceFacts) -> Iterator[Unit]:
        if not isinstance(record.value, dict):
            raise RowError("it is no object")
        if self.form == "jsonl":
            return own.convert(record, facts)
        if self.form == "langfuse":
            return langfuse.convert(record, facts)
        return {"otlp": otlp.convert, "litellm": litellm.convert, "openai": openai_usage.convert}[
            self.form
        ](record)


def detect(path: Path, kind: str) -> str:
    """The format by the first records. Raises CliError that names what was found."""
    seen: list[str] = []
    for number, record in enumerate(read(path, kind)):
        if number == _LOOKED_AT:
            break
        if isinstance(record, Rejected) or not isinstance(record.value, dict):
            continue
        row: dict[str, Any] = record.value
        found = _of_header(set(row), path) if kind == "csv" else _of_row(row, record.list_name)
        if found:
            return found
        seen = seen or sorted(row)[:8]
    columns = f" It has: {', '.join(seen)}." if seen else ""
    raise CliError(
        f"{path} is of no format that is known.{columns} Name it: --format {'|'.join(FORMATS)}"
    )


def _of_header(names: set[str], path: Path) -> str:
    if litellm.is_header(names):
        return "litellm"
    if openai_usage.is_header(names):
        return "openai"
    if openai_usage.is_cost_header(names):
        raise CliError(
            f"{path} is OpenAI's costs export, which names no calls. Export the usage (completions) instead."
        )
    return ""


def _of_row(row: dict[str, Any], list_name: str) -> str:
    if otlp.is_document(row):
        return "otlp"
    # A score in blob storage has a trace_id as ours has, and fields ours has not.
    is_theirs = "traceId" in row or (
        "score_id" not in row and not {"data_type", "observation_id"}.isdisjoint(row)
    )
    if own.kind_of(row, "") and not is_theirs:
        return "jsonl"
    if langfuse.kind_of(row):
        return "langfuse"
    return "jsonl" if own.kind_of(row, list_name) else ""
