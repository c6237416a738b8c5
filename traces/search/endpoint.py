"""Any OpenAI-compatible embeddings endpoint, called from workers with the `openai` package.

Its calls are calls like any other: each request is one cost record of the project (feature `LLMLab search`), so that
the dashboard shows what meaning search costs.
"""

import datetime as dt
import logging
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings

from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage

logger = logging.getLogger(__name__)
FEATURE = "LLMLab search"
TIMEOUT_S = 8.0
RETRIES = 1


class EndpointError(Exception):
    """The endpoint could not be used; the text says why and what to do, for people."""


def embed(
    texts: Sequence[str], *, project_id: UUID, now: dt.datetime, feature: str = FEATURE
) -> list[list[float]]:
    """One vector per text, in order, and the call's cost recorded. Raises EndpointError."""
    import openai  # 0.9 s and 60 MB: only in workers, only when an endpoint is configured

    client = openai.OpenAI(
        base_url=settings.LLMLAB_EMBEDDINGS_BASE_URL,
        api_key=settings.LLMLAB_EMBEDDINGS_API_KEY or "none",
        timeout=TIMEOUT_S,
        max_retries=RETRIES,
    )
    size: dict[str, Any] = (
        {"dimensions": settings.LLMLAB_EMBEDDINGS_DIMENSIONS}
        if settings.LLMLAB_EMBEDDINGS_DIMENSIONS
        else {}
    )
    started = time.monotonic()
    try:
        with client:
            answer = client.embeddings.create(
                model=settings.LLMLAB_EMBEDDINGS_MODEL,
                input=list(texts),
                encoding_format="float",
                **size,
            )
    except openai.APIStatusError as error:
        raise EndpointError(
            f"The embeddings endpoint answered {error.status_code}; check LLMLAB_EMBEDDINGS_MODEL and _API_KEY."
        ) from error
    except openai.OpenAIError as error:
        raise EndpointError(
            f"The embeddings endpoint could not be reached ({type(error).__name__});"
            " check LLMLAB_EMBEDDINGS_BASE_URL."
        ) from error
    vectors = _checked(answer, len(texts))
    latency = (time.monotonic() - started) * 1000
    _record(answer, project_id=project_id, latency_ms=latency, now=now, feature=feature)
    return vectors


def _checked(answer: Any, wanted: int) -> list[list[float]]:
    """Its vectors in order; an answer of another shape is an error, not a stored mistake."""
    try:
        rows = sorted(answer.data, key=lambda row: row.index)
        vectors = [[float(value) for value in row.embedding] for row in rows]
    except (AttributeError, TypeError, ValueError):
        raise EndpointError("The embeddings endpoint answered with something else.") from None
    sizes = {len(vector) for vector in vectors}
    if len(vectors) != wanted or len(sizes) != 1 or not sizes.pop():
        raise EndpointError(
            f"The embeddings endpoint answered {len(vectors)} vectors for {wanted} texts."
        )
    return vectors


def _record(
    answer: Any, *, project_id: UUID, latency_ms: float, now: dt.datetime, feature: str
) -> None:
    used = getattr(getattr(answer, "usage", None), "prompt_tokens", None)
    call = ChargeableCall(
        record_id=f"search/{uuid4()}",
        occurred_at=now,
        provider="openai",
        model=str(getattr(answer, "model", "") or settings.LLMLAB_EMBEDDINGS_MODEL)[:200],
        request_model=settings.LLMLAB_EMBEDDINGS_MODEL[:200],
        operation="embeddings",
        usage=Usage(input_tokens=used) if isinstance(used, int) else None,
        latency_ms=latency_ms,
        feature=feature,
    )
    record_costs(project_id=project_id, calls=[call], now=now)
