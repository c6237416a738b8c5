"""Where a call goes, in which order, and why (pure).

A route by the name the client sent as `model`, else the route `*`, else a connection that serves the model. Within a
step the route's choice orders the targets; the next one is asked when one fails, and then the next step's.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

from core.errors import DomainError
from costs.price_rules import NO_RULES, RuleSet
from gateway.connections.keys import is_keyless, pick_key
from gateway.connections.providers import dialects_of, price_provider, serves
from gateway.dialects.facts import RequestFacts
from gateway.dialects.translate import can_translate
from gateway.routing import choosing
from gateway.routing.choosing import Candidate
from gateway.routing.health import HealthView
from gateway.routing.matching import why_not
from gateway.snapshot import ConnectionView, RouteView, Snapshot
from gateway.structs import Caller, Decision, Dialect, RouteRules, Target, TargetRule

ANY = "*"
MAX_TARGETS = 20
MAX_BECAUSE = 500
_DIRECT = RouteRules()
# What to speak with a provider that does not speak the client's own dialect, best first.
_OTHERS = (Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES)


class NoRouteError(DomainError):
    """The call can go nowhere: why and what would help, and the status the client is answered."""

    @property
    def message(self) -> str:
        return self.detail


class _Sieve:
    """The targets that may be asked, and why the others may not."""

    def __init__(
        self,
        snapshot: Snapshot,
        facts: RequestFacts,
        caller: Caller,
        dialect: Dialect,
        at: dt.datetime,
    ) -> None:
        self.snapshot, self.facts, self.caller = snapshot, facts, caller
        self.dialect, self.at = dialect, at
        self.skipped: list[str] = []
        # Why: what the error says when nothing is left.
        self.reasons: set[str] = set()

    def take(self, rules: Iterable[TargetRule]) -> list[Candidate]:
        return [found for rule in rules if (found := self._candidate(rule)) is not None]

    def _candidate(self, rule: TargetRule) -> Candidate | None:
        model = rule.model or self.facts.model
        view = self.snapshot.connections.get(rule.connection)
        if view is None:
            self._skip("A connection", model, "off", "it is switched off or no longer there")
            return None
        refused = why_not(rule.when, self.facts, self.caller, self.at)
        if refused:
            self._skip(view.name, model, "conditions", refused)
        elif not is_keyless(view) and pick_key(view, now=self.at, draw=0.0) is None:
            self._skip(view.name, model, "key", "it has no key that may be used")
        elif spoken(self.dialect, view) is None:
            self._skip(view.name, model, "dialect", f"it cannot answer {self.dialect} requests")
        else:
            return Candidate(rule, view.name, view.kind, price_provider(view), model)
        return None

    def _skip(self, name: str, model: str, reason: str, why: str) -> None:
        self.reasons.add(reason)
        self.skipped.append(f"{name} ({model}): {why}"[:300])

    def healthy(self, found: list[Candidate], health: HealthView) -> list[Candidate]:
        """Without those whose circuit is open or whose provider said to wait; when all are so, the best of them."""
        if not health.circuits and not health.rests:
            return found
        now = self.at.timestamp()
        fit, unfit = list[Candidate](), list[Candidate]()
        for one in found:
            place = one.rule.connection, one.model
            is_open = health.standing(*place, now) == "open"
            (unfit if is_open or health.rests_for(*place, now) else fit).append(one)
        if unfit and not fit:
            first = min(unfit, key=lambda one: health.hardness(one.rule.connection, one.model, now))
            first.because = "all circuits are open, and this one opened first"
            if health.rests_for(first.rule.connection, first.model, now):
                first.because = "no other takes calls now, and this one waits the shortest"
            unfit.remove(first)
            fit = [first]
        for one in unfit:
            self._skip(one.name, one.model, "open", _unfit(one, health, now))
        return fit


def _unfit(one: Candidate, health: HealthView, now: float) -> str:
    """Why a target is passed by, in words."""
    place = one.rule.connection, one.model
    if health.standing(*place, now) == "open":
        circuit = health.circuits[place]
        return f"circuit open since {max(0, round(now - circuit.since))} s ({circuit.why})"
    return f"rate limited for another {max(1, round(health.rests_for(*place, now)))} s"


def spoken(client: Dialect, view: ConnectionView) -> Dialect | None:
    """What to speak with a connection: the client's own dialect, else one it can be translated to, else None."""
    native = dialects_of(view.kind, view.settings)
    if client in native:
        return client
    return next((one for one in _OTHERS if one in native and can_translate(client, one)), None)


def route_of(snapshot: Snapshot, model: str) -> RouteView | None:
    """The route a model's calls take; letters' case is ignored. None: they go directly."""
    return snapshot.routes.get(model.lower()) or snapshot.routes.get(ANY)


def rules_of(snapshot: Snapshot, decision: Decision) -> RouteRules:
    """The rules of the decision's route; for direct calls the defaults."""
    found = snapshot.routes.get(decision.route.lower()) if decision.route else None
    return found.rules if found is not None else _DIRECT


def decide(
    snapshot: Snapshot,
    facts: RequestFacts,
    caller: Caller,
    *,
    dialect: Dialect,
    health: HealthView,
    prices: RuleSet = NO_RULES,
    at: dt.datetime,
    draw: float,
    quality: Mapping[str, float] | None = None,
) -> Decision:
    """Where the call goes. `at` is in UTC, `draw` in [0, 1) is all that is chance; `quality` are mean scores
    by model, the snapshot's where not given.

    Raises NoRouteError when nothing can take it.
    """
    sieve = _Sieve(snapshot, facts, caller, dialect, at)
    route = route_of(snapshot, facts.model)
    if route is None:
        return _direct(sieve, health)
    found = sieve.take(route.rules.targets)
    usable = sieve.healthy(found, health)
    if not usable:
        raise _nothing_left(sieve, f"Route {route.name} has no target for this call")
    scores = snapshot.quality if quality is None else quality
    ordered: list[Candidate] = []
    for step in sorted({one.rule.step for one in usable}):
        here = [one for one in usable if one.rule.step == step]
        ordered += _ordered(route, here, sieve, health, prices, draw, scores)
    how = f"{route.name} takes every model no other route names" if route.name == ANY else ""
    because = how or f"the model names route {route.name}"
    return _decision(ordered, sieve, because, route.name)


def _ordered(
    route: RouteView,
    found: list[Candidate],
    sieve: _Sieve,
    health: HealthView,
    prices: RuleSet,
    draw: float,
    quality: Mapping[str, float],
) -> list[Candidate]:
    """The targets of one step as the route chooses among them."""
    if len(found) == 1:
        return found
    rules, facts = route.rules, sieve.facts
    if rules.choose == "cost":
        return choosing.by_cost(found, facts, prices, sieve.at)
    if rules.choose == "latency":
        now = sieve.at.timestamp()
        return choosing.by_latency(found, health, is_stream=facts.is_stream, now=now, draw=draw)
    if rules.choose == "quality":
        return choosing.by_quality(found, quality)
    who = _whose(rules, sieve)
    if who:
        return choosing.by_stickiness(found, f"{route.id}\0{who}", rules.sticky)
    return choosing.by_weight(found, draw)


def _whose(rules: RouteRules, sieve: _Sieve) -> str:
    if rules.sticky == "user":
        return sieve.caller.user or sieve.facts.user
    if rules.sticky == "session":
        return sieve.caller.session or sieve.facts.session
    return ""


def _direct(sieve: _Sieve, health: HealthView) -> Decision:
    """To the connections that serve the model by its name, or by `provider/model`."""
    snapshot, asked = sieve.snapshot, sieve.facts.model
    if not snapshot.rules.direct:
        text = f"No route is named “{asked}”, and this project's calls go by routes only. "
        raise NoRouteError(text + _known(snapshot), code="model_not_found", status=404)
    because, model = f"no route is named {asked}, and this connection serves it", ""
    views = _serving(snapshot, asked, sieve.dialect)
    if "/" in asked:
        # Prices know `openai/gpt-4o` too, but OpenAI does not: only a connection that lists it gets it whole.
        prefix, _, rest = asked.partition("/")
        listed = [view for view in views if view.model_names]
        meant = [view for view in snapshot.connections.values() if _is_meant(view, prefix, rest)]
        if not listed and meant:
            because, model = f"{prefix}/ names the provider or connection", rest
        views = listed or meant or views
    if not views:
        text = f"The model “{asked}” is not known here: no route has that name, and no connection serves it. "
        raise NoRouteError(text + _known(snapshot), code="model_not_found", status=404)
    rules = [TargetRule(connection=view.id, model=model, step=i) for i, view in enumerate(views)]
    usable = sieve.healthy(sieve.take(rules[:MAX_TARGETS]), health)
    if not usable:
        raise _nothing_left(sieve, f"No connection can take the model “{asked}” now")
    return _decision(usable, sieve, because, "")


def _serving(snapshot: Snapshot, model: str, dialect: Dialect) -> list[ConnectionView]:
    """Those that list the model first, then those that need no translation, then the oldest."""
    found = [view for view in snapshot.connections.values() if serves(view, model)]
    if len(found) > 1:
        found.sort(key=lambda view: (not view.model_names, spoken(dialect, view) is not dialect))
    return found


def _is_meant(view: ConnectionView, prefix: str, model: str) -> bool:
    """Whether `prefix/model` means this connection: by its name, its kind or its provider in prices."""
    said = prefix.lower()
    if not model or said not in (view.name.lower(), view.kind, price_provider(view)):
        return False
    return not view.model_names or model in view.model_names


def _known(snapshot: Snapshot) -> str:
    names = sorted(route.name for route in snapshot.routes.values())
    if not names:
        return "It has no routes yet." if not snapshot.rules.direct else ""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"Routes: {', '.join(names[:10])}{more}."


def _nothing_left(sieve: _Sieve, what: str) -> NoRouteError:
    """The client's own doing is a 400, else the gateway cannot serve it now."""
    text = f"{what}. {'; '.join(sieve.skipped)[:1500] or 'It has none at all'}."
    if sieve.reasons and sieve.reasons <= {"dialect", "conditions"}:
        code = "no_target_matches" if "conditions" in sieve.reasons else "dialect_not_supported"
        return NoRouteError(text, code=code, status=400)
    return NoRouteError(text, code="no_target_available", status=503)


def _decision(ordered: list[Candidate], sieve: _Sieve, because: str, route: str) -> Decision:
    targets = tuple(
        Target(
            connection=one.rule.connection,
            kind=one.kind,
            model=one.model,
            provider=one.provider,
            step=one.rule.step,
            is_canary=one.rule.is_canary,
            because=one.because,
        )
        for one in ordered[:MAX_TARGETS]
    )
    first = ordered[0]
    text = f"{because}; {first.name}: {first.because}" if first.because else because
    return Decision(
        targets=targets,
        route=route,
        because=text[:MAX_BECAUSE],
        skipped=tuple(sieve.skipped),
    )
