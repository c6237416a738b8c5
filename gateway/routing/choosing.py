"""In which order the targets of one step are asked (pure): by weight, price, speed or scores."""

import datetime as dt
import hashlib
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from costs.price_rules import RuleSet
from costs.pricing import price_call
from costs.usage import ChargeableCall, Usage
from gateway.dialects.facts import RequestFacts
from gateway.routing.health import HealthView
from gateway.structs import TargetRule

# What an answer is taken to have when the request sets no limit; the same for all targets that are compared.
ASSUMED_OUTPUT = 500
# Of latency-first calls one in so many goes to a target that was not measured lately, so that it is.
EXPLORE_ONE_IN = 20


class Candidate(msgspec.Struct):
    """A target that may be asked, and why it stands where it does."""

    rule: TargetRule
    name: str  # of the connection
    kind: str
    provider: str
    model: str
    because: str = ""


def estimated_cost(
    candidate: Candidate, facts: RequestFacts, prices: RuleSet, at: dt.datetime
) -> Decimal | None:
    """About what the call costs there; None when its price is not known whole."""
    limit = facts.max_output_tokens
    output = (ASSUMED_OUTPUT if limit is None else min(limit, ASSUMED_OUTPUT)) * facts.choices
    call = ChargeableCall(
        record_id="",
        occurred_at=at,
        provider=candidate.provider,
        model=candidate.model,
        service_tier=facts.service_tier,
        usage=Usage(input_tokens=facts.input_tokens, output_tokens=output, is_estimated=True),
    )
    priced = price_call(call, prices)
    return priced.cost_usd if priced.status in ("priced", "free") else None


def by_weight(found: Sequence[Candidate], draw: float) -> list[Candidate]:
    """All of them, each next one drawn by weight from those left: what is left of one draw is the next one.

    Over draws that are spread evenly the first one's shares are the weights. Those of weight 0 come last.
    """
    left, ordered = list(found), list[Candidate]()
    while left:
        total = sum(one.rule.weight for one in left)
        if not total:
            return ordered + left
        place = draw * total
        for one in left:
            if place < one.rule.weight:
                break
            place -= one.rule.weight
        else:  # rounding: a draw just below 1
            one = next(one for one in reversed(left) if one.rule.weight)
            place = 0.0
        if len(found) > 1 and not ordered:
            one.because = f"drawn with weight {one.rule.weight} of {total}"
        draw = min(max(place / one.rule.weight, 0.0), 1 - 1e-12)
        ordered.append(one)
        left.remove(one)
    return ordered


def by_stickiness(found: Sequence[Candidate], who: str, whose: str) -> list[Candidate]:
    """The same order for the same `who`, in shares of the weights. When a target goes away only those who had it move
    (weighted rendezvous hashing)."""
    scored = sorted(found, key=lambda one: _score(one, who), reverse=True)
    if len(scored) > 1:
        scored[0].because = f"always the same for this {whose}"
    return scored


def _score(candidate: Candidate, who: str) -> float:
    rule = candidate.rule
    said = f"{rule.connection}\0{rule.model}\0{rule.step}\0{who}".encode()
    number = int.from_bytes(hashlib.blake2b(said, digest_size=7).digest())
    return -rule.weight / math.log((number + 1) / (2**56 + 1))


def by_cost(
    found: Sequence[Candidate], facts: RequestFacts, prices: RuleSet, at: dt.datetime
) -> list[Candidate]:
    """The cheapest first; what has no price comes last, because nobody knows."""
    costs = [estimated_cost(one, facts, prices, at) for one in found]
    order = sorted(range(len(found)), key=lambda i: (costs[i] is None, costs[i] or Decimal(0)))
    for i in order:
        cost = costs[i]
        said = "its price is not known" if cost is None else f"about ${cost:.6f}"
        cheapest = "the cheapest, " if i == order[0] and cost is not None and len(found) > 1 else ""
        found[i].because = cheapest + said
    return [found[i] for i in order]


def by_latency(
    found: Sequence[Candidate], health: HealthView, *, is_stream: bool, now: float, draw: float
) -> list[Candidate]:
    """The one with the lowest recent median first; one call in twenty finds out about those not measured lately."""
    times = [
        health.median_ms(one.rule.connection, one.model, is_stream=is_stream, now=now)
        for one in found
    ]
    order = sorted(range(len(found)), key=lambda i: (times[i] is None, times[i] or 0.0))
    unknown = [i for i in order if times[i] is None]
    what = "first token" if is_stream else "answer"
    for i in order:
        took = times[i]
        found[i].because = (
            "not measured lately" if took is None else f"median {what} in {took:,.0f} ms"
        )
    if unknown and len(unknown) < len(found) and draw * EXPLORE_ONE_IN < 1:
        tried = unknown[min(int(draw * EXPLORE_ONE_IN * len(unknown)), len(unknown) - 1)]
        found[tried].because = "not measured lately; one call in twenty finds out"
        order.remove(tried)
        order.insert(0, tried)
    elif len(unknown) < len(found) and len(found) > 1:
        found[order[0]].because = "the fastest, " + found[order[0]].because
    return [found[i] for i in order]


def by_quality(found: Sequence[Candidate], quality: Mapping[str, float]) -> list[Candidate]:
    """The model with the highest mean score first; what nobody scored comes last."""
    order = sorted(found, key=lambda one: -quality.get(one.model, -math.inf))
    for one in order:
        score = quality.get(one.model)
        one.because = "no scores yet" if score is None else f"mean score {score:.3g}"
    if len(order) > 1 and order[0].model in quality:
        order[0].because = "the best, " + order[0].because
    return order
