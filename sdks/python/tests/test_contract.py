"""What all three SDKs do alike: the cases of sdks/contract."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmlab import extract
from llmlab.masks import masker
from llmlab.propagation import Remote, traceparent
from llmlab.sampling import is_sampled
from llmlab.snapshot import snapshot
from llmlab.values import dumps, finished

CONTRACT = Path(__file__).resolve().parents[2] / "contract"


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CONTRACT / name).read_text("utf-8"))
    return document


MASKS = load("masks.json")["cases"]
SAMPLING = load("sampling.json")["cases"]
TRACEPARENT = load("traceparent.json")
VALUES = load("values.json")["cases"]


@pytest.mark.parametrize("case", MASKS, ids=lambda case: case["name"])
def test_masks(case: dict[str, Any]) -> None:
    mask = masker(case["masks"])
    assert mask is not None
    assert mask(case["text"]) == case["expected"]


@pytest.mark.parametrize("case", SAMPLING, ids=lambda case: case["trace_id"])
def test_sampling(case: dict[str, Any]) -> None:
    for rate, expected in case["sampled"].items():
        assert is_sampled(case["trace_id"], float(rate)) is expected


@pytest.mark.parametrize("case", TRACEPARENT["extract"], ids=lambda case: case["name"])
def test_extract(case: dict[str, Any]) -> None:
    found = extract({"traceparent": case["header"]})
    if case["expected"] is None:
        assert not found
    else:
        got = {"trace_id": found.trace_id, "span_id": found.step_id, "sampled": found.sampled}
        assert got == case["expected"]


@pytest.mark.parametrize("case", TRACEPARENT["inject"], ids=lambda case: case["header"])
def test_inject(case: dict[str, Any]) -> None:
    remote = Remote(case["trace_id"], case["span_id"], case["sampled"])
    assert traceparent(remote) == case["header"]


def make(recipe: dict[str, Any]) -> Any:
    """What JSON cannot say, built."""
    ((kind, told),) = [(k, v) for k, v in recipe.items() if k != "times"]
    if kind == "circular":
        if told == "list":
            circle: list[Any] = []
            circle.append(circle)
            return circle
        ring: dict[str, Any] = {}
        ring["self"] = ring
        return ring
    if kind == "twice":
        return [told, told]
    makers = {
        "integer": int,
        "number": float,
        "bytes": bytes,
        "decimal": Decimal,
        "time": lambda text: dt.datetime.fromisoformat(text.replace("Z", "+00:00")),
        "repeat": lambda text: text * recipe["times"],
    }
    return makers[kind](told)  # type: ignore[operator]


@pytest.mark.parametrize("case", VALUES, ids=lambda case: case["name"])
def test_values(case: dict[str, Any]) -> None:
    value = case["value"] if "value" in case else make(case["make"])
    got = json.loads(dumps(finished(snapshot(value)[0], None)))
    expected = case["expected"]
    if isinstance(expected, dict) and "text_or_number" in expected:
        assert str(got) == expected["text_or_number"]
    elif isinstance(expected, dict) and "starts_with" in expected:
        assert got.startswith(expected["starts_with"])
    elif isinstance(expected, dict) and "repeat" in expected:
        assert got == expected["repeat"] * expected["times"] + expected["then"]
    else:
        assert got == expected
