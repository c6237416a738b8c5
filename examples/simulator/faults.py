"""Misbehaviour on demand.

| word          | effect                                                                    |
|---------------|---------------------------------------------------------------------------|
| `rate_limit`  | 429 with Retry-After; `rate_limit:7` says seven seconds                   |
| `quota`       | 429 that must not be retried (OpenAI insufficient_quota, Anthropic 402)   |
| `error`       | 500                                                                       |
| `overloaded`  | 503 from OpenAI, 529 from Anthropic                                       |
| `not_found`   | 404, unknown model                                                        |
| `too_long`    | 400, more input than the model takes                                      |
| `slow`        | answers after two seconds more; `slow:0.5` says how many                  |
| `cut`         | a stream breaks after its third piece, without usage                      |
| `stream_error`| Anthropic only: an `error` event in the middle of a stream                |
| `no_usage`    | answers without a usage object                                            |

Under `/unsteady` the same endpoints are overloaded for a third of all prompts, always for the same ones.

`flaky:3` turns every third request (by count) into an `error`. Words are joined by commas.
"""

import asyncio
import json
import zlib
from dataclasses import dataclass
from typing import Any

from examples.simulator.http import HttpError, Request

WORDS = frozenset(
    {
        "rate_limit", "quota", "error", "overloaded", "not_found", "too_long", "slow", "cut",
        "stream_error", "no_usage", "flaky",
    }
)  # fmt: skip
CUT_AFTER = 3


UNSTEADY = "/unsteady"


def is_too_much(body: dict[str, Any]) -> bool:
    """Whether the unsteady provider is overloaded by this prompt."""
    asked = body.get("messages") or body.get("input")
    return (
        bool(asked) and zlib.crc32(json.dumps(asked, sort_keys=True, default=str).encode()) % 3 == 0
    )


@dataclass(frozen=True)
class Faults:
    """What was asked for: word → its number, if any."""

    asked: dict[str, float | None]

    def __contains__(self, word: str) -> bool:
        return word in self.asked

    def number(self, word: str, default: float) -> float:
        """The number given after the word."""
        value = self.asked.get(word)
        return default if value is None else value


def take_faults(request: Request) -> Faults:
    """Reads the wishes of a request and removes the suffix from its model name."""
    texts = [request.headers.get("x-simulate", "")]
    metadata = request.body.get("metadata")
    if isinstance(metadata, dict):
        texts.append(str(metadata.get("simulate", "")))
    model = request.body.get("model")
    if isinstance(model, str) and "+" in model:
        request.body["model"], _, suffix = model.partition("+")
        texts.append(suffix.replace("+", ","))
    asked: dict[str, float | None] = {}
    for text in texts:
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            word, _, number = part.partition(":")
            if word not in WORDS:
                known = ", ".join(sorted(WORDS))
                raise HttpError(
                    400, "invalid_request_error", f"Cannot simulate {word!r}; known: {known}."
                )
            try:
                asked[word] = float(number) if number else None
            except ValueError:
                raise HttpError(
                    400, "invalid_request_error", f"{number!r} after {word!r} is not a number."
                ) from None
    return Faults(asked)


async def apply_faults(faults: Faults, request: Request) -> None:
    """Waits or raises as asked; what concerns streams is left to the provider."""
    if "slow" in faults:
        await asyncio.sleep(min(faults.number("slow", 2.0), 600))
    if "rate_limit" in faults:
        seconds = f"{faults.number('rate_limit', 1):g}"
        raise HttpError(
            429,
            "rate_limit_error",
            f"Rate limit reached for {request.body.get('model')}. Try again in {seconds} s.",
            "rate_limit_exceeded",
            retry_after=seconds,
        )
    if "quota" in faults:
        raise HttpError(
            402, "billing_error", "You exceeded your current quota.", "insufficient_quota"
        )
    if "overloaded" in faults:
        raise HttpError(529, "overloaded_error", "The engine is overloaded, please try again.")
    if "not_found" in faults:
        raise HttpError(
            404,
            "not_found_error",
            f"The model {request.body.get('model')!r} does not exist or you cannot use it.",
            "model_not_found",
        )
    if "too_long" in faults:
        raise HttpError(
            400,
            "invalid_request_error",
            "The input is longer than the model's context window.",
            "context_length_exceeded",
        )
    every = int(faults.number("flaky", 3)) if "flaky" in faults else 0
    if "error" in faults or (every and request.number % every == 0):
        raise HttpError(500, "api_error", "The server had an error while processing your request.")
