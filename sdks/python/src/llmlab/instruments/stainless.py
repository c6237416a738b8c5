"""Recording for the clients that Stainless generates: openai and anthropic, of any major version.

All their calls pass `SyncAPIClient.request` or `AsyncAPIClient.request` once per logical call, retries inside:
`create`, `.parse`, `.stream`, `with_raw_response`, `with_streaming_response`, beta resources, Azure, Bedrock, Vertex.
`_build_request` tells what is really sent, `_process_response` what came, before anyone reads it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmlab.capture import Endpoint, endpoint_of
from llmlab.config import logger
from llmlab.instruments.library import Library
from llmlab.instruments.patches import Patches
from llmlab.instruments.recording import (
    Recording,
    begin,
    body_of,
    current_recording,
    is_budgeted,
)
from llmlab.instruments.tee import tee

if TYPE_CHECKING:
    from llmlab.client import LLMLab

# Host and port of servers that refused `stream_options`; they are not asked again.
_refusing: set[tuple[str, int | None]] = set()


def _model_of(options: Any) -> str:
    """The model a request names, or ""."""
    data = getattr(options, "json_data", None)
    named = data.get("model") if isinstance(data, dict) else None
    return named if isinstance(named, str) else ""


@lru_cache(maxsize=1024)
def _endpoint(url: str) -> Endpoint | None:
    return endpoint_of("POST", url)


class Stainless(Library):
    """One of these libraries."""

    def __init__(self, package: str) -> None:
        super().__init__()
        self.package = package
        self.module = f"{package}._base_client"
        self.patches = Patches()
        self.async_client: type = type(None)

    def patch(self, module: Any) -> None:
        """Raises AttributeError for a version that is built otherwise, and leaves that as it is."""
        if self.patches:
            return
        base, sync, asynchronous = module.BaseClient, module.SyncAPIClient, module.AsyncAPIClient
        self.async_client = asynchronous
        try:
            self.patches.add(base, "_build_request", _build_request)
            if inspect.iscoroutinefunction(asynchronous._process_response):
                self.patches.add(sync, "_process_response", _process_response)
                self.patches.add(asynchronous, "_process_response", _process_response_async)
            else:  # before openai 1.4 and anthropic 0.8: one function for both
                self.patches.add(base, "_process_response", self._process_response_of_both)
            self.patches.add(sync, "request", self._request)
            self.patches.add(asynchronous, "request", self._request_async)
        except AttributeError:
            self.patches.undo()
            raise

    def unpatch(self) -> None:
        self.patches.undo()

    def _begin(self, api: Any, options: Any) -> Recording | None:
        """The recording of a call that is recorded. Raises BudgetExceeded, nothing else."""
        client = self.client
        if client is None or not client.is_on:
            return None
        try:
            endpoint = _endpoint(options.url) if options.method.lower() == "post" else None
            if endpoint is None:
                return None
        except Exception:
            return None
        if is_budgeted(endpoint):
            client.check_budget(_model_of(options))
        return _started(client, endpoint, api, options)

    async def _begin_async(self, api: Any, options: Any) -> Recording | None:
        client = self.client
        if client is None or not client.is_on:
            return None
        try:
            endpoint = _endpoint(options.url) if options.method.lower() == "post" else None
            if endpoint is None:
                return None
        except Exception:
            return None
        if is_budgeted(endpoint):
            await client.check_budget_async(_model_of(options))
        return _started(client, endpoint, api, options)

    def _process_response_of_both(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def process_response(api: Any, *args: Any, **kwargs: Any) -> Any:
            is_async = isinstance(api, self.async_client)
            _note(kwargs.get("response"), is_async=is_async)
            return original(api, *args, **kwargs)

        return process_response

    def _request(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def request(api: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            asked = getattr(options, "json_data", None)
            recording = self._begin(api, options)
            if recording is None:
                return original(api, cast_to, options, *args, **kwargs)
            token = current_recording.set(recording)
            try:
                try:
                    result = original(api, cast_to, options, *args, **kwargs)
                except Exception as error:
                    if not _may_resend(recording, error, api):
                        raise
                    options.json_data = asked
                    result = original(api, cast_to, options, *args, **kwargs)
            except BaseException as error:
                recording.failed(error)
                recording.finish()
                raise
            finally:
                current_recording.reset(token)
            if not recording.is_streaming:
                recording.finish()
            return result

        return request

    def _request_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def request(api: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            asked = getattr(options, "json_data", None)
            recording = await self._begin_async(api, options)
            if recording is None:
                return await original(api, cast_to, options, *args, **kwargs)
            token = current_recording.set(recording)
            try:
                try:
                    result = await original(api, cast_to, options, *args, **kwargs)
                except Exception as error:
                    if not _may_resend(recording, error, api):
                        raise
                    options.json_data = asked
                    result = await original(api, cast_to, options, *args, **kwargs)
            except BaseException as error:
                recording.failed(error)
                recording.finish()
                raise
            finally:
                current_recording.reset(token)
            if not recording.is_streaming:
                recording.finish()
            return result

        return request


def _started(client: LLMLab, endpoint: Endpoint, api: Any, options: Any) -> Recording | None:
    try:
        recording = begin(client, endpoint)
        if endpoint.shape in ("chat", "completions"):
            _ask_for_usage(recording, api, options)
        return recording
    except Exception:
        logger.debug("LLMLab: a call could not be recorded", exc_info=True)
        return None


def _ask_for_usage(recording: Recording, api: Any, options: Any) -> None:
    """Have a stream tell its usage, unless the caller did so or the server cannot."""
    body, extra = options.json_data, getattr(options, "extra_json", None) or {}
    if not isinstance(body, dict) or extra.get("stream", body.get("stream")) is not True:
        return
    if "stream_options" in extra or not recording.client.settings.stream_usage:
        return
    asked = body.get("stream_options")
    asked = asked if isinstance(asked, dict) else {}
    if asked.get("include_usage") or _server(api) in _refusing:
        return
    # A body of our own: the caller's is theirs.
    options.json_data = {**body, "stream_options": {**asked, "include_usage": True}}
    recording.hides_usage = True


def _server(api: Any) -> tuple[str, int | None]:
    return api.base_url.host, api.base_url.port


def _may_resend(recording: Recording, error: Exception, api: Any) -> bool:
    """Whether the server refused what only we had asked for. It is remembered for its host."""
    response = getattr(error, "response", None)
    if not recording.hides_usage or getattr(response, "status_code", None) != 400:
        return False
    if b"stream_options" not in (body_of(response) or b""):
        return False
    _refusing.add(_server(api))
    recording.hides_usage = False
    recording.attempts = 0
    return True


def _build_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def build_request(*args: Any, **kwargs: Any) -> Any:
        request = original(*args, **kwargs)
        recording = current_recording.get()
        if recording is not None:
            recording.sent(request)
        return request

    return build_request


def _note(response: Any, *, is_async: bool) -> None:
    """Keep what came, or read along when it is still to come. Never raises."""
    recording = current_recording.get()
    if recording is None:
        return
    try:
        is_read = bool(response.is_closed)
        body = body_of(response) if is_read else None
        recording.answered(response.status_code, response.headers, body)
        if not is_read and response.status_code < 400:
            tee(response, recording, is_async=is_async)
            recording.is_streaming = True
    except Exception:
        logger.debug("LLMLab: an answer could not be recorded", exc_info=True)


def _process_response(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def process_response(api: Any, *args: Any, **kwargs: Any) -> Any:
        _note(kwargs.get("response"), is_async=False)
        return original(api, *args, **kwargs)

    return process_response


def _process_response_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def process_response(api: Any, *args: Any, **kwargs: Any) -> Any:
        _note(kwargs.get("response"), is_async=True)
        return await original(api, *args, **kwargs)

    return process_response
