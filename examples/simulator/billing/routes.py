"""Which billing addresses there are, and the ones that set and add up the world.

A provider's module has `PROVIDER`, `ROUTES` (method, pattern of the whole path, endpoint) and `error_reply`.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from examples.simulator.billing import anthropic, azure, faults, google, kept, openai, world
from examples.simulator.http import HttpError, Reply, Request

Endpoint = Callable[[Request], Awaitable[Reply]]
MODULES: tuple[Any, ...] = (openai, anthropic, azure, google)


@dataclass(frozen=True)
class Route:
    """One address of a provider; `match` holds what its path names."""

    provider: str
    endpoint: Endpoint
    error_reply: Callable[[HttpError, Request | None], Reply]

    async def answer(self, request: Request) -> Reply:
        """What the provider answers, unless something else was wished for."""
        return await faults.apply(self.provider, request) or await self.endpoint(request)


_ROUTES = [
    (method, re.compile(pattern), Route(module.PROVIDER, endpoint, module.error_reply))
    for module in MODULES
    for method, pattern, endpoint in module.ROUTES
]


def find(request: Request) -> Route | None:
    """The route of a request, if it is a billing one; what the path names is put into `request.path_values`."""
    for method, pattern, route in _ROUTES:
        if method == request.method and (found := pattern.fullmatch(request.path)):
            request.path_values = found.groupdict()
            return route
    return None


def control(request: Request) -> Reply | None:
    """`/simulator/billing/…`: for tests, demos and benchmarks, without a key."""
    match request.method, request.path:
        case "POST", "/simulator/billing/world":
            charges = [world.read_charge(one) for one in request.body.get("charges", [])]
            (world.extend if request.body.get("mode") == "extend" else world.replace)(charges)
            kept.write()
            return Reply({"charges": world.count()})
        case "POST", "/simulator/billing/faults":
            faults.set_state(request.body)
            return Reply({"clock": faults.clock().isoformat()})
        case "GET", "/simulator/billing/totals":
            left_out = request.values("without_tier")
            return Reply(
                {
                    provider: world.totals(provider, faults.clock(), without_tiers=left_out)
                    for provider in request.values("provider")
                    or ["openai", "anthropic", "azure", "google"]
                }
            )
    return None
