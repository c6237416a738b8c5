"""The most a call can use: what is set aside for it before it goes out (pure but for the price catalogue).

Tokens are the estimated input and the most the answer may have. Dollars are those of the most expensive target, with
the input taken as one token per byte, so that no tokenizer and no cache write makes it cost more than was set aside.
"""

import datetime as dt
from decimal import ROUND_UP, Decimal

import msgspec

from costs.catalogue import Unit
from costs.price_rules import NO_RULES, RuleSet
from costs.pricing import QUANTUM
from costs.rates import Rates, rates_of
from costs.usage import ChargeableCall
from gateway.dialects.facts import RequestFacts
from gateway.guards.schemas import AGAIN_BYTES
from gateway.structs import Decision, Dialect, Target

ZERO = Decimal(0)
# What answers may have at most, by the beginning of the model's name; longer beginnings go first.
OUTPUT_TOKENS = {
    "gpt-3.5": 4_096, "gpt-4": 8_192, "gpt-4-turbo": 4_096, "gpt-4o": 16_384, "gpt-4.1": 32_768,
    "gpt-4.5": 16_384, "gpt-5": 128_000, "chatgpt-4o": 16_384, "o1": 100_000, "o3": 100_000,
    "o4": 100_000, "codex-": 100_000, "gemini-1.5": 8_192, "gemini-2.0": 8_192,
    "gemini-2.5": 65_536, "gemini-3": 65_536, "gemma-": 8_192, "claude-3": 8_192,
    "claude-3-7": 64_000,
}  # fmt: skip
OTHER_OUTPUT_TOKENS = 32_768
_BY_LENGTH = sorted(OUTPUT_TOKENS, key=len, reverse=True)
_INPUT = frozenset({"input_tokens", "cache_read_tokens"})
_WRITES = frozenset({"cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"})
_AUDIO = frozenset({"input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens"})
_IMAGE = frozenset({"input_image_tokens", "cache_image_read_tokens", "output_image_tokens"})


class Bounds(msgspec.Struct, frozen=True):
    """At most this much. `usd` is None when a target has no price: `unpriced` says which and why."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal | None = ZERO
    unpriced: str = ""
    # Two targets may be asked at once; `usd` counts both.
    is_hedged: bool = False

    @property
    def tokens(self) -> int:
        return (self.input_tokens + self.output_tokens) * (2 if self.is_hedged else 1)


def bounds_of(
    facts: RequestFacts,
    decision: Decision,
    *,
    body: bytes,
    at: dt.datetime,
    prices: RuleSet = NO_RULES,
    is_hedged: bool = False,
    may_ask_again: bool = False,
) -> Bounds:
    """The worst case of a call over all targets it may go to. `prices` are the organisation's (Snapshot.prices); with
    `is_hedged` two targets may be asked at once, with `may_ask_again` one twice, its first answer in the request."""
    if facts.dialect is Dialect.COUNT_TOKENS:
        return Bounds()
    output = max((output_of(facts, one.model) for one in decision.targets), default=0)
    most = facts.input_tokens, output
    if may_ask_again:
        most = 2 * facts.input_tokens + output + AGAIN_BYTES, 2 * output
    usd = ZERO
    for target in decision.targets:
        rates = rates_of(_call(facts, target, at), prices)
        if isinstance(rates, str):
            return Bounds(*most, None, _unpriced(target, rates), is_hedged)
        if not rates.plan.units and not rates.is_free:
            return Bounds(*most, None, _unpriced(target, "no_price"), is_hedged)
        size, answer = max(facts.input_bytes, facts.input_tokens), output_of(facts, target.model)
        one = _most(rates, facts, body, size, answer)
        if may_ask_again:
            one += _most(rates, facts, body, size + answer + AGAIN_BYTES, answer)
        usd = max(usd, one)
    if is_hedged:
        usd *= 2
    return Bounds(*most, usd, is_hedged=is_hedged)


def output_of(facts: RequestFacts, model: str) -> int:
    """How many tokens an answer of the model may have: as asked, else as the model is known for."""
    return most_output(facts.max_output_tokens, model) * facts.choices


def most_output(stated: int | None, model: str) -> int:
    """The same of one choice, for a limit the client stated or not."""
    if stated is not None:
        return stated
    name = model.rpartition("/")[2].lower()
    found = next((start for start in _BY_LENGTH if name.startswith(start)), None)
    return OTHER_OUTPUT_TOKENS if found is None else OUTPUT_TOKENS[found]


def _call(facts: RequestFacts, target: Target, at: dt.datetime) -> ChargeableCall:
    return ChargeableCall(
        record_id="",
        occurred_at=at,
        provider=target.provider,
        model=target.model,
        request_model=target.model,
        service_tier=facts.service_tier,
        speed=facts.speed if target.kind == "anthropic" else "",
    )


def _unpriced(target: Target, reason: str) -> str:
    return f"{target.model} at {target.provider} ({reason.replace('_', ' ')})"


def _most(rates: Rates, facts: RequestFacts, body: bytes, size: int, output: int) -> Decimal:
    """Each part at the dearest price it could get; `size` tokens at most go in, `output` come out."""
    skipped: frozenset[str] = frozenset()
    if b'"cache_control"' not in body:
        # Without a mark nothing is written at a price of its own, except where every call is.
        skipped |= _WRITES if "input_tokens" in rates.plan.keys else frozenset()
    if b"audio" not in body:
        skipped |= _AUDIO
    if not facts.has_images and b"image" not in body:
        skipped |= _IMAGE
    into, out, each = ZERO, ZERO, ZERO
    for unit in rates.plan.units:
        key = unit.usage_key
        if key in skipped:
            continue
        price = _price(unit, size)
        if key == "requests":
            each += price
        elif key.startswith("output"):
            out = max(out, price)
        elif key in _INPUT or key.startswith(("input", "cache")):
            into = max(into, price)
    usd = (into * size + out * output + each) * rates.factor
    return usd.quantize(QUANTUM, ROUND_UP)


def _price(unit: Unit, size: int) -> Decimal:
    """Of one: the dearest tier that an input of up to `size` tokens can reach."""
    tiers = [price for start, price in unit.tiers if size > start]
    return max([unit.base, *tiers]) / unit.per
