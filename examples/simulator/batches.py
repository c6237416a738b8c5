"""Files and batches of both providers, kept in memory; keys do not tell accounts apart.

A batch is worked off when it is looked at for the first time after it was made. One with `"hold": "yes"` in its
metadata (OpenAI), or with a request whose `custom_id` begins with `hold` (Anthropic), stays under way until it is
cancelled. A request whose `custom_id` begins with `expire` expires; one that makes no sense is an error.
"""

import asyncio
import datetime as dt
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from examples.simulator import anthropic_messages, openai_chat, openai_common, openai_responses
from examples.simulator.faults import Faults
from examples.simulator.http import HttpError, Reply, Request

CREATED = openai_common.CREATED
MOMENT = "2026-11-20T12:00:00+00:00"
_ASK: dict[str, Callable[[Request, Faults], Awaitable[Reply]]] = {
    "/v1/chat/completions": openai_chat.chat_completions,
    "/v1/responses": openai_responses.responses,
    "/v1/embeddings": openai_chat.embeddings,
    "/v1/messages": anthropic_messages.messages,
}
NO_FAULTS = Faults({})


@dataclass
class _Batch:
    """One batch; its `document` is what is shown of it."""

    document: dict[str, Any]
    requests: list[dict[str, Any]]
    is_held: bool = False
    results: bytes = b""


@dataclass
class _Shelf:
    """What one of the two providers keeps."""

    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    batches: dict[str, _Batch] = field(default_factory=dict)
    count: int = 0

    def name(self, start: str) -> str:
        self.count += 1
        return f"{start}{self.count:020d}"


OPENAI, ANTHROPIC = _Shelf(), _Shelf()
Endpoint = Callable[[Request, Faults], Awaitable[Reply]]


def is_anthropic(request: Request) -> bool:
    return request.path.startswith("/v1/messages") or "anthropic-version" in request.headers


def find(request: Request) -> Endpoint | None:
    """The endpoint of a path below /v1/files, /v1/batches and /v1/messages/batches."""
    for method, pattern, endpoint in _ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found and method == request.method:
            request.path_values = found.groupdict()
            return endpoint
    return None


# --- files


async def upload(request: Request, faults: Faults) -> Reply:
    kind = request.headers.get("content-type", "")
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + request.raw)
    parts: dict[str, Any] = {
        str(part.get_param("name", header="content-disposition")): part
        for part in form.iter_parts()
    }
    if "file" not in parts:
        raise HttpError(400, "invalid_request_error", "The form has no file.")
    content = parts["file"].get_payload(decode=True)
    name = parts["file"].get_filename() or "upload"
    if is_anthropic(request):
        return Reply(_keep_anthropic(name, content), headers=anthropic_messages.headers(request))
    if "purpose" not in parts:
        raise HttpError(400, "invalid_request_error", "Missing required parameter: 'purpose'.")
    purpose = parts["purpose"].get_payload(decode=True).decode()
    return Reply(_keep_openai(name, content, purpose), headers=openai_common.headers(request))


def _keep_openai(name: str, content: bytes, purpose: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": OPENAI.name("file-"), "object": "file", "bytes": len(content), "created_at": CREATED,
        "filename": name, "purpose": purpose, "status": "processed", "expires_at": None,
    }  # fmt: skip
    OPENAI.files[document["id"]] = (document, content)
    return document


def _keep_anthropic(name: str, content: bytes) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": ANTHROPIC.name("file_"), "type": "file", "filename": name, "size_bytes": len(content),
        "mime_type": "application/octet-stream", "created_at": MOMENT, "downloadable": True,
    }  # fmt: skip
    ANTHROPIC.files[document["id"]] = (document, content)
    return document


def _file(request: Request) -> tuple[dict[str, Any], bytes]:
    shelf = ANTHROPIC if is_anthropic(request) else OPENAI
    found = shelf.files.get(request.path_values["id"])
    if found is None:
        text = f"No such File object: {request.path_values['id']}"
        raise HttpError(404, "invalid_request_error", text)
    return found


async def one_file(request: Request, faults: Faults) -> Reply:
    return Reply(_file(request)[0])


async def content(request: Request, faults: Faults) -> Reply:
    return Reply(_file(request)[1], headers={"content-type": "application/octet-stream"})


async def files(request: Request, faults: Faults) -> Reply:
    shelf = ANTHROPIC if is_anthropic(request) else OPENAI
    return Reply(_page([document for document, _ in shelf.files.values()]))


async def delete_file(request: Request, faults: Faults) -> Reply:
    document, _ = _file(request)
    if is_anthropic(request):
        del ANTHROPIC.files[document["id"]]
        return Reply({"id": document["id"], "type": "file_deleted"})
    del OPENAI.files[document["id"]]
    return Reply({"id": document["id"], "object": "file", "deleted": True})


# --- OpenAI's batches


async def create(request: Request, faults: Faults) -> Reply:
    body = request.body
    source = OPENAI.files.get(str(body.get("input_file_id")))
    if source is None or body.get("endpoint") not in _ASK:
        raise HttpError(400, "invalid_request_error", "Unknown input_file_id or endpoint.")
    asked = [json.loads(line) for line in source[1].splitlines() if line.strip()]
    metadata = body.get("metadata") or {}
    document = {
        "id": OPENAI.name("batch_"), "object": "batch", "endpoint": body["endpoint"], "errors": None,
        "input_file_id": body["input_file_id"], "completion_window": body.get("completion_window", "24h"),
        "status": "validating", "output_file_id": None, "error_file_id": None, "created_at": CREATED,
        "expires_at": CREATED + 86_400, "metadata": metadata, "completed_at": None, "cancelled_at": None,
        "request_counts": {"total": len(asked), "completed": 0, "failed": 0},
    }  # fmt: skip
    OPENAI.batches[document["id"]] = _Batch(document, asked, is_held=bool(metadata.get("hold")))
    return Reply(dict(document), headers=openai_common.headers(request))


async def one(request: Request, faults: Faults) -> Reply:
    batch = _batch(OPENAI, request)
    if batch.document["status"] == "validating":
        batch.document["status"] = "in_progress"
        if not batch.is_held:
            await _work_openai(batch)
    return Reply(batch.document, headers=openai_common.headers(request))


async def cancel(request: Request, faults: Faults) -> Reply:
    batch = _batch(OPENAI, request)
    if batch.document["status"] in ("validating", "in_progress"):
        batch.document |= {"status": "cancelled", "cancelled_at": CREATED + 60}
    return Reply(batch.document)


async def batches(request: Request, faults: Faults) -> Reply:
    return Reply(_page([one.document for one in OPENAI.batches.values()]))


async def _work_openai(batch: _Batch) -> None:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    made = await asyncio.gather(*(_made(one) for one in batch.requests))
    for number, (asked, (status, body)) in enumerate(zip(batch.requests, made, strict=True)):
        line: dict[str, Any] = {"id": f"batch_req_{number}", "custom_id": asked["custom_id"]}
        if asked["custom_id"].startswith("expire"):
            error = {"code": "batch_expired", "message": "It could not be executed in time."}
            bad.append(line | {"response": None, "error": error})
            continue
        response = {"status_code": status, "request_id": f"req_{number}", "body": body}
        (good if status == 200 else bad).append(line | {"response": response, "error": None})
    batch.document |= {
        "status": "completed",
        "completed_at": CREATED + 120,
        "output_file_id": _lines("output", good),
        "error_file_id": _lines("errors", bad),
        "request_counts": {
            "total": len(batch.requests),
            "completed": len(good),
            "failed": len(bad),
        },
    }


def _lines(name: str, rows: list[dict[str, Any]]) -> str | None:
    if not rows:
        return None
    found = _keep_openai(f"{name}.jsonl", _jsonl(rows), "batch_output")
    return str(found["id"])


async def _made(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """One request of a batch, all of them at once; one that expires is never made."""
    if asked["custom_id"].startswith("expire"):
        return 0, {}
    return await _answer(asked.get("url", "/v1/messages"), asked.get("body") or asked["params"])


async def _answer(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    inner = Request("POST", url, {}, dict(body))
    try:
        return 200, (await _ASK[url](inner, NO_FAULTS)).body
    except HttpError as error:
        make = anthropic_messages if url == "/v1/messages" else openai_common
        return error.status, make.error_reply(error).body


# --- Anthropic's


async def create_messages(request: Request, faults: Faults) -> Reply:
    asked = request.body.get("requests")
    if not isinstance(asked, list) or not asked:
        raise HttpError(400, "invalid_request_error", "requests: a list with something in it")
    name = ANTHROPIC.name("msgbatch_")
    counts = {"processing": len(asked), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    document = {
        "id": name, "type": "message_batch", "processing_status": "in_progress",
        "request_counts": counts, "created_at": MOMENT, "expires_at": "2026-11-21T12:00:00+00:00",
        "ended_at": None, "cancel_initiated_at": None, "archived_at": None, "results_url": None,
    }  # fmt: skip
    is_held = any(one["custom_id"].startswith("hold") for one in asked)
    ANTHROPIC.batches[name] = _Batch(document, asked, is_held=is_held)
    return Reply(dict(document), headers=anthropic_messages.headers(request))


async def one_message_batch(request: Request, faults: Faults) -> Reply:
    batch = _batch(ANTHROPIC, request)
    if batch.document["processing_status"] == "in_progress" and not batch.is_held:
        await _work_anthropic(batch, request)
    return Reply(batch.document, headers=anthropic_messages.headers(request))


async def cancel_message_batch(request: Request, faults: Faults) -> Reply:
    batch = _batch(ANTHROPIC, request)
    if batch.document["processing_status"] == "in_progress":
        rows = [_result(one, {"type": "canceled"}) for one in batch.requests]
        _end(batch, rows, request)
        batch.document["cancel_initiated_at"] = MOMENT
    return Reply(batch.document)


async def message_batches(request: Request, faults: Faults) -> Reply:
    return Reply(_page([one.document for one in ANTHROPIC.batches.values()]))


async def delete_message_batch(request: Request, faults: Faults) -> Reply:
    name = _batch(ANTHROPIC, request).document["id"]
    del ANTHROPIC.batches[name]
    return Reply({"id": name, "type": "message_batch_deleted"})


async def results(request: Request, faults: Faults) -> Reply:
    batch = _batch(ANTHROPIC, request)
    if batch.document["processing_status"] != "ended":
        raise HttpError(404, "not_found_error", "The batch has not ended.")
    return Reply(batch.results, headers={"content-type": "application/x-jsonl"})


async def _work_anthropic(batch: _Batch, request: Request) -> None:
    rows = []
    made = await asyncio.gather(*(_made(one) for one in batch.requests))
    for asked, (status, body) in zip(batch.requests, made, strict=True):
        if asked["custom_id"].startswith("expire"):
            rows.append(_result(asked, {"type": "expired"}))
            continue
        if status == 200:
            body["usage"]["service_tier"] = "batch"
            rows.append(_result(asked, {"type": "succeeded", "message": body}))
        else:
            rows.append(_result(asked, {"type": "errored", "error": body}))
    _end(batch, rows, request)


def _result(asked: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    return {"custom_id": asked["custom_id"], "result": result}


def _end(batch: _Batch, rows: list[dict[str, Any]], request: Request) -> None:
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    for row in rows:
        counts[row["result"]["type"]] += 1
    host = request.headers.get("host", "localhost")
    path = f"/v1/messages/batches/{batch.document['id']}/results"
    batch.results = _jsonl(rows)
    batch.document |= {
        "processing_status": "ended",
        "ended_at": dt.datetime.now(dt.UTC).isoformat(),
        "request_counts": counts,
        "results_url": f"http://{host}{path}",
    }


# --- both


def _batch(shelf: _Shelf, request: Request) -> _Batch:
    found = shelf.batches.get(request.path_values["id"])
    if found is None:
        text = f"No batch found with id '{request.path_values['id']}'."
        raise HttpError(404, "invalid_request_error", text)
    return found


def _page(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All of them, newest first."""
    rows = list(documents)[::-1]
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {}
    return {"object": "list", "data": rows, "has_more": False, **ends}


def _jsonl(rows: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


_FILE, _OPENAI, _ANTHROPIC = "/v1/files", "/v1/batches", "/v1/messages/batches"
_ID = "/(?P<id>[^/]+)"
_ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", _FILE, upload),
    ("GET", _FILE, files),
    ("GET", f"{_FILE}{_ID}", one_file),
    ("GET", f"{_FILE}{_ID}/content", content),
    ("DELETE", f"{_FILE}{_ID}", delete_file),
    ("POST", _OPENAI, create),
    ("GET", _OPENAI, batches),
    ("GET", f"{_OPENAI}{_ID}", one),
    ("POST", f"{_OPENAI}{_ID}/cancel", cancel),
    ("POST", _ANTHROPIC, create_messages),
    ("GET", _ANTHROPIC, message_batches),
    ("GET", f"{_ANTHROPIC}{_ID}", one_message_batch),
    ("POST", f"{_ANTHROPIC}{_ID}/cancel", cancel_message_batch),
    ("GET", f"{_ANTHROPIC}{_ID}/results", results),
    ("DELETE", f"{_ANTHROPIC}{_ID}", delete_message_batch),
)
