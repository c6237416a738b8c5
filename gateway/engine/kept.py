"""A kept answer to a question that means the same, instead of a call to a provider."""

import time

from gateway.cache.kept import Hit
from gateway.dialects.replay import as_stream
from gateway.engine.parts import Parts
from gateway.engine.sink import EVENTS, JSON, Sink
from gateway.engine.tries import UNREADABLE
from gateway.structs import Call


async def give_kept(call: Call, parts: Parts, sink: Sink) -> Hit | None:
    """Give it; None: there is none, so a provider is to be asked."""
    plan = call.cache
    if plan is None or not plan.rule.semantic:
        return None
    began = time.perf_counter()
    try:
        caller = call.caller
        snapshot = await parts.snapshot(caller.organization_id, caller.project_id, "")
        found = await parts.kept(call, snapshot)
        if found is None:
            return None
        hit = found.hit
        events = (
            as_stream(call.dialect, hit.answer, wants_usage=call.wants_usage)
            if call.is_stream
            else []
        )
    except (*UNREADABLE, ValueError):
        return None
    finally:
        call.cache_s += time.perf_counter() - began
    headers = _headers_of(hit)
    if call.is_stream:
        sink.head(200, {**EVENTS, **headers})
        sink.data(b"".join(events))
    else:
        sink.hold(200, hit.answer, {**JSON, **headers})
    return hit


def _headers_of(hit: Hit) -> dict[str, str]:
    return {
        "x-llmlab-provider": hit.provider,
        "x-llmlab-model": hit.model,
        "x-llmlab-cache": hit.kind,
        "helicone-cache": "HIT",
        "age": str(max(0, int(time.time() - hit.created_at))),
        "x-llmlab-saved-usd": f"{hit.cost_usd:f}" if hit.cost_usd is not None else "",
    }
