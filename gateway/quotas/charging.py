"""What a call that ended really used, against what was set aside for it (pure)."""

import datetime as dt
from decimal import Decimal

from costs.price_rules import NO_RULES, RuleSet
from costs.pricing import price_call
from costs.usage import ChargeableCall
from gateway.models import LimitMetric, RequestState
from gateway.quotas.counters import Delta
from gateway.structs import Finished, Target

ZERO = Decimal(0)
# Ends of calls that reached a provider although no attempt may be noted.
_BEGUN = frozenset({RequestState.DONE, RequestState.LOST, RequestState.CACHED})


def was_begun(finished: Finished) -> bool:
    """Whether a provider (or the cache) was asked."""
    return bool(finished.attempts) or finished.state in _BEGUN


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
    if is_mine and was_begun(finished) and finished.state != RequestState.CACHED:
        if metric == LimitMetric.TOKENS:
            used = tokens_of(finished, need)
        elif metric == LimitMetric.USD:
            used = _dollars(finished, need, cost)
    return Delta(used=used, reserved=-need)


def models_asked(finished: Finished) -> set[str]:
    """The model that answered; without an answer every one that was asked."""
    answered = {one.target.model for one in finished.attempts if not one.error}
    asked = {one.target.model for one in finished.attempts}
    return answered or asked or {target.model for target in finished.call.decision.targets[:1]}


def tokens_of(finished: Finished, most: Decimal) -> Decimal:
    """As the provider counted; `most` where an answer came and nobody counted, none where none came."""
    usage = finished.usage
    if usage is None or not usage.is_known:
        return most if _is_unknown(finished) else ZERO
    return Decimal((usage.input_tokens or 0) + (usage.output_tokens or 0))


def _dollars(finished: Finished, most: Decimal, cost: Decimal | None) -> Decimal:
    if cost is not None:
        return cost
    return most if _is_unknown(finished) or finished.usage is not None else ZERO


def _is_unknown(finished: Finished) -> bool:
    return finished.state in (RequestState.DONE, RequestState.LOST)


def cost_of(finished: Finished, prices: RuleSet = NO_RULES) -> Decimal | None:
    """What the ledger says it cost, for who does not have its row at hand."""
    target = _target(finished)
    if target is None or finished.usage is None:
        return None
    return price_call(
        ChargeableCall(
            record_id="",
            occurred_at=dt.datetime.fromtimestamp(finished.call.accepted_at, dt.UTC),
            provider=target.provider,
            model=finished.response_model or target.model,
            request_model=target.model,
            service_tier=finished.service_tier,
            usage=finished.usage,
        ),
        prices,
    ).cost_usd


def _target(finished: Finished) -> Target | None:
    answered = [one.target for one in finished.attempts if not one.error]
    tried = [one.target for one in finished.attempts]
    return next(iter((*answered, *tried[-1:], *finished.call.decision.targets)), None)
