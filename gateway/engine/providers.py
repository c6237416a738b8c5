"""One request to a provider by the official SDKs, answered as bytes: their objects cost more than the call itself."""

from typing import Any

import anthropic
import httpx2
import openai

from core.http_async import explained
from core.outbound import AddressRefusedError, OutboundTimeoutError
from gateway.connections.clients import Client
from gateway.dialects.errors import Failure, classify
from gateway.structs import Dialect

CONNECT_S = 5.0
# Of a provider that asks for more, the next target's turn has come anyway.
LONGEST_RETRY_AFTER_S = 3_600.0
_STATUS_OF = {
    "rate_limit": 429,
    "timeout": 504,
    "context_length": 400,
    "content_filter": 400,
    "bad_request": 400,
    "not_found": 404,
    "auth": 401,
}
_STATUS_ERRORS = (openai.APIStatusError, anthropic.APIStatusError)
_CONNECTION_ERRORS = (openai.APIConnectionError, anthropic.APIConnectionError)


class ProviderError(Exception):
    """A provider refused, broke off or did not answer. `status` 0: there was no answer; `body` is its own."""

    def __init__(
        self,
        failure: Failure,
        *,
        status: int = 0,
        body: bytes = b"",
        retry_after_s: float | None = None,
        request_id: str = "",
        was_sent: bool = True,
        is_ours: bool = False,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        # Whether the provider may have begun to work, and so to count.
        self.was_sent = was_sent
        # It failed before the provider was asked: that says nothing of how the provider does.
        self.is_ours = is_ours

    @classmethod
    def own(cls, failure: Failure) -> "ProviderError":
        """Nobody was asked, for a reason of our own."""
        return cls(failure, was_sent=False, is_ours=True)

    @classmethod
    def broken(cls, code: str, message: str) -> "ProviderError":
        """An answer that is none, or that ended too early."""
        return cls(Failure("error", code, message))

    @classmethod
    def late(cls, message: str) -> "ProviderError":
        """Nothing came in time."""
        return cls(Failure("timeout", "provider_timeout", message))

    @classmethod
    def reported(cls, failure: Failure, body: bytes) -> "ProviderError":
        """An error the provider reported with status 200."""
        overloaded = failure.code == "overloaded_error"
        status = _STATUS_OF.get(failure.reason, 529 if overloaded else 500)
        return cls(failure, status=status, body=body)


async def ask(
    client: Client,
    path: str,
    body: bytes,
    *,
    dialect: Dialect,
    headers: dict[str, str],
    silence_s: float,
    is_stream: bool,
) -> httpx2.Response:
    """Send; the answer's body is read unless it streams. `silence_s` bounds the time between two pieces of it.

    Raises ProviderError for everything but an answer of status 2xx.
    """
    options: Any = {
        "headers": headers,
        "timeout": httpx2.Timeout(silence_s, connect=min(CONNECT_S, silence_s)),
    }
    stream_class: Any = (
        openai.AsyncStream if isinstance(client, openai.AsyncOpenAI) else anthropic.AsyncStream
    )
    try:
        # For this type both SDKs hand out the response itself, unread when `stream` is set.
        response: httpx2.Response = await client.post(
            path,
            cast_to=httpx2.Response,
            content=body,
            options=options,
            stream=is_stream,
            stream_cls=stream_class,
        )
    except _STATUS_ERRORS as error:
        raise refused(dialect, error.response) from None
    except _CONNECTION_ERRORS as error:
        raise unanswered(error, client.base_url.host) from None
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        # The SDK would not even send it: no key it accepts, a header it cannot write.
        raise ProviderError.own(Failure("auth", "provider_client", str(error)[:500])) from None
    return response


def refused(dialect: Dialect, response: httpx2.Response) -> ProviderError:
    """The error in an answer of status 4xx or 5xx, which has been read."""
    body = response.content
    return ProviderError(
        classify(dialect, response.status_code, body),
        status=response.status_code,
        body=body,
        retry_after_s=retry_after(response.headers),
        request_id=request_id(response),
        was_sent=response.status_code >= 500,
    )


def unanswered(error: BaseException, host: str) -> ProviderError:
    """No answer, or one that broke off: what that means, in words for people."""
    told = explained(error, host)
    was_sent = not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
    if isinstance(told, AddressRefusedError):
        return ProviderError.own(Failure("error", "address_refused", told.detail))
    if isinstance(told, OutboundTimeoutError):
        failure = Failure("timeout", "provider_timeout", told.detail)
    else:
        failure = Failure("error", "provider_unreachable", told.detail)
    return ProviderError(failure, was_sent=was_sent)


def retry_after(headers: httpx2.Headers) -> float | None:
    """How long the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds."""
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * factor
        except (KeyError, ValueError):  # a date is nobody's habit here; our own wait then holds
            continue
        if 0 <= seconds <= LONGEST_RETRY_AFTER_S:
            return seconds
    return None


def request_id(response: httpx2.Response) -> str:
    """The provider's name for the request."""
    headers = response.headers
    found = headers.get("x-request-id") or headers.get("request-id") or ""
    return str(found)[:200]
