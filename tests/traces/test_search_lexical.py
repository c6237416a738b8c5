"""The offline vectors are scikit-learn's, to the last bit."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.search import lexical


@cache
def _vectorizers() -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    options = {"n_features": lexical.DIMENSIONS, "alternate_sign": True, "norm": None}
    return (
        HashingVectorizer(ngram_range=(1, 2), **options),
        HashingVectorizer(analyzer="char_wb", ngram_range=(3, 4), **options),
    )


def reference(text: str) -> list[float]:
    from sklearn.preprocessing import normalize

    words, pieces = _vectorizers()
    found = normalize(words.transform([text]) + pieces.transform([text])).toarray()[0]
    return [float(value) for value in found]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "What is the capital of France?",
        "Café au lait, 退款政策 x  y\n\nz",
        "ab abc abcd abcde abcdef",
        "ß İstanbul x\u00a0y",
        "refund policy for user@example.com " * 20,
    ],
)
def test_known_texts(text: str) -> None:
    assert lexical.embed(text) == reference(text)


@settings(max_examples=120, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_any_text(text: str) -> None:
    assert lexical.embed(text) == pytest.approx(reference(text), abs=1e-12)
