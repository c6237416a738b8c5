"""What a call that ended really used, against what was set aside for it (pure)."""

import datetime as dt
from decimal import Decimal

from costs.price_rules import NO_RULES, RuleSet
from costs.pricing import price_call
from costs.usage import ChargeableCall, Usage
from gateway.models import LimitMetric, RequestState
from gateway.quotas.counters import Delta
from gateway.recording.lost import QUEUE_LOST
from gateway.structs import Finished, Target

ZERO = Decimal(0)
# Ends of calls that reached a provider although no attempt may be noted.
_BEGUN = frozenset({RequestState.DONE, RequestState.LOST, RequestState.CACHED})


def was_begun(finished: Finished) -> bool:
    """Whether a provider (or the cache) was asked, or may have been."""
    is_begun = finished.state in _BEGUN and finished.error != QUEUE_LOST
    return bool(finished.attempts) or is_begun


def charge(
    metric: str, need: Decimal, model: str, finished: Finished, cost: Decimal | None
) -> Delta:
    """How a counter changes by the end of a call that had set `need` aside in it; `cost` None: nobody knows."""
    is_mine = not model or model in models_asked(finished)
    if metric == LimitMetric.REQUESTS:
        # They were counted when the call came. Our own refusals do not count.
        gone = not is_mine or (not was_begun(finished) and 400 <= finished.status < 500)
        return Delta(used=-need if gone else ZERO)
    used = ZERO
    if was_begun(finished) and finished.state != RequestState.CACHED:
        if metric == LimitMetric.TOKENS:
            used = tokens_of(finished, need, model)
        elif metric == LimitMetric.USD and is_mine:
            used = _dollars(finished, need, cost)
    return Delta(used=used, reserved=-need)


def models_asked(finished: Finished) -> set[str]:
    """The model that answered; without an answer every one that was asked."""
    answered = {one.target.model for one in finished.attempts if not one.error}
    asked = {one.target.model for one in finished.attempts}
    return answered or asked or {target.model for target in finished.call.decision.targets[:1]}


def tokens_of(finished: Finished, most: Decimal, model: str = "") -> Decimal:
    """As the provider counted; `most` where an answer came and nobody counted, none where none came. Of one model, or
    of all; with what was used by tries that were given up."""
    used = ZERO
    if not model or model in models_asked(finished):
        usage = finished.usage
        if usage is not None and usage.is_known:
            used = _tokens(usage)
        elif _is_unknown(finished):
            used = most
    for one in finished.attempts:
        if one.usage is not None and (not model or model == one.target.model):
            used += _tokens(one.usage)
    return used


def _tokens(usage: Usage) -> Decimal:
    return Decimal((usage.input_tokens or 0) + (usage.output_tokens or 0))


def _dollars(finished: Finished, most: Decimal, cost: Decimal | None) -> Decimal:
    if cost is not None:
        return cost
    return most if _is_unknown(finished) or finished.usage is not None else ZERO


def _is_unknown(finished: Finished) -> bool:
    return finished.state in (RequestState.DONE, RequestState.LOST)


def cost_of(finished: Finished, prices: RuleSet = NO_RULES) -> Decimal | None:
    """What the ledger says it cost with all its tries, for who does not have its rows at hand; None: unknown."""
    total: Decimal | None = None
    tries = [(one.target, "", "", one.usage) for one in finished.attempts if one.usage is not None]
    target = _target(finished)
    if target is not None and finished.usage is not None:
        answered = (target, finished.response_model, finished.service_tier, finished.usage)
        tries.append(answered)
    for target, model, tier, usage in tries:
        cost = _price(finished, target, model, tier, usage, prices)
        if cost is None:
            return None
        total = (total or ZERO) + cost
    return total


def _price(
    finished: Finished, target: Target, model: str, tier: str, usage: Usage, prices: RuleSet
) -> Decimal | None:
    call = ChargeableCall(
        record_id="",
        occurred_at=dt.datetime.fromtimestamp(finished.call.accepted_at, dt.UTC),
        provider=target.provider,
        model=model or target.model,
        request_model=target.model,
        service_tier=tier,
        usage=usage,
    )
    return price_call(call, prices).cost_usd


def _target(finished: Finished) -> Target | None:
    answered = [one.target for one in finished.attempts if not one.error]
    tried = [one.target for one in finished.attempts]
    return next(iter((*answered, *tried[-1:], *finished.call.decision.targets)), None)
