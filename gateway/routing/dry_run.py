"""A dry run: where a request would go, and why, without sending it."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from core.errors import DomainError
from costs.price_rules import RuleSet
from gateway.dialects.facts import RequestError, RequestFacts, facts_of
from gateway.models import Route
from gateway.routing.choosing import ASSUMED_OUTPUT, Candidate, estimated_cost
from gateway.routing.decide import NoRouteError, decide, route_of, rules_of
from gateway.routing.health import HealthView, read_health
from gateway.routing.quality import scores_by_model
from gateway.routing.words import facts_of_rules
from gateway.snapshot import RouteView, Snapshot, load
from gateway.structs import Caller, Dialect, RouteRules, Target, TargetRule
from projects.models import Project

MAX_TEXT = 200_000
STANDINGS = {
    "closed": "",
    "open": "its circuit is open",
    "half_open": "its circuit is half open: one call probes it",
}


@dataclass(frozen=True)
class Trial:
    """A made-up request."""

    model: str
    text: str = "Hello"
    system: str = ""
    dialect: Dialect = Dialect.CHAT
    tags: tuple[str, ...] = ()
    user: str = ""
    session: str = ""
    agent: str = ""
    environment: str = ""
    is_stream: bool = False
    has_tools: bool = False
    has_images: bool = False
    max_output_tokens: int | None = None
    at: dt.datetime | None = None
    draw: float = 0.5


@dataclass(frozen=True)
class Stop:
    """A target of the chain, in order."""

    place: int
    connection: str
    model: str
    provider: str
    step: int
    is_canary: bool
    because: str
    cost_usd: Decimal | None
    standing: str


@dataclass(frozen=True)
class Outcome:
    """What would happen: a chain, or a refusal."""

    model: str
    route: str
    because: str
    chain: tuple[Stop, ...]
    skipped: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]
    input_tokens: int
    output_tokens: int
    error: str = ""
    code: str = ""
    status: int = 0


def run_dry(
    project: Project,
    trial: Trial,
    *,
    now: dt.datetime,
    draft: tuple[Route | None, str, RouteRules] | None = None,
) -> Outcome:
    """Where `trial` would go now. `draft` (the route it replaces, its name, its rules) stands in for what is saved.

    At most nine queries. Raises DomainError naming a field of the trial.
    """
    snapshot = _with(load(project.organization_id, project.pk, ()), draft)
    facts = _facts(trial)
    health, prices = read_health(now=now.timestamp()), snapshot.prices
    at = trial.at or now
    # Health is as it is now, whatever hour is asked about.
    health = _moved(health, at.timestamp() - now.timestamp())
    caller = Caller(
        organization_id=snapshot.organization_id,
        project_id=snapshot.project_id,
        key_id="",
        user=trial.user,
        session=trial.session,
        tags=trial.tags,
        agent=trial.agent,
        environment=trial.environment,
    )
    route = route_of(snapshot, facts.model)
    quality = {}
    if route is not None and route.rules.choose == "quality":
        quality = scores_by_model(project.pk, now=now)
    output = (facts.max_output_tokens or ASSUMED_OUTPUT) * facts.choices
    try:
        decision = decide(
            snapshot,
            facts,
            caller,
            dialect=trial.dialect,
            health=health,
            prices=prices,
            at=at,
            draw=trial.draw,
            quality=quality,
        )
    except NoRouteError as error:
        return Outcome(
            facts.model, route.name if route else "", "", (), (), (), facts.input_tokens, output,
            error.detail, error.code, error.status,
        )  # fmt: skip
    chain = tuple(
        _stop(place, target, snapshot, facts, prices, health, at)
        for place, target in enumerate(decision.targets, 1)
    )
    said = tuple(facts_of_rules(rules_of(snapshot, decision))) if decision.route else ()
    return Outcome(
        facts.model, decision.route, decision.because, chain, decision.skipped, said,
        facts.input_tokens, output,
    )  # fmt: skip


def _stop(
    place: int,
    target: Target,
    snapshot: Snapshot,
    facts: RequestFacts,
    prices: RuleSet,
    health: HealthView,
    at: dt.datetime,
) -> Stop:
    view = snapshot.connections[target.connection]
    rule = TargetRule(connection=target.connection, model=target.model)
    candidate = Candidate(rule, view.name, target.kind, target.provider, target.model)
    standing = health.standing(target.connection, target.model, at.timestamp())
    return Stop(
        place, view.name, target.model, target.provider, target.step, target.is_canary,
        target.because, estimated_cost(candidate, facts, prices, at), STANDINGS[standing],
    )  # fmt: skip


def _with(snapshot: Snapshot, draft: tuple[Route | None, str, RouteRules] | None) -> Snapshot:
    """The snapshot as if the draft were saved and switched on."""
    if draft is None:
        return snapshot
    replaced, name, rules = draft
    routes = {
        key: one
        for key, one in snapshot.routes.items()
        if replaced is None or one.id != replaced.pk.hex
    }
    id = replaced.pk.hex if replaced else "draft"
    routes[name.lower()] = RouteView(id=id, name=name, rules=rules, version=0)
    return msgspec.structs.replace(snapshot, routes=routes)


def _moved(health: HealthView, seconds: float) -> HealthView:
    if not seconds:
        return health
    circuits = {
        place: msgspec.structs.replace(
            one,
            opened_at=one.opened_at + seconds,
            since=one.since + seconds,
            probing_until=one.probing_until and one.probing_until + seconds,
        )
        for place, one in health.circuits.items()
    }
    figures = {
        place: msgspec.structs.replace(one, at=one.at + seconds)
        for place, one in health.figures.items()
    }
    rests = {place: until + seconds for place, until in health.rests.items()}
    return HealthView(circuits, figures, rests)


def _facts(trial: Trial) -> RequestFacts:
    """The facts of the request the trial describes, read as the door reads them."""
    document: dict[str, Any] = {"model": trial.model, "stream": trial.is_stream}
    if trial.dialect is Dialect.RESPONSES:
        document |= {"input": trial.text, "instructions": trial.system}
    elif trial.dialect is Dialect.EMBEDDINGS:
        document["input"] = trial.text
    elif trial.dialect is Dialect.COMPLETIONS:
        document["prompt"] = trial.text
    elif trial.dialect.is_anthropic:
        document |= {"messages": [{"role": "user", "content": trial.text}], "system": trial.system}
        document["max_tokens"] = trial.max_output_tokens or ASSUMED_OUTPUT
    else:
        system = [{"role": "system", "content": trial.system}] if trial.system else []
        document["messages"] = [*system, {"role": "user", "content": trial.text}]
    try:
        facts = facts_of(trial.dialect, msgspec.json.encode(document))
    except (RequestError, UnicodeEncodeError) as error:
        field = getattr(error, "field", "") or "text"
        raise DomainError(f"{field}: {getattr(error, 'message', error)}", fields=[field]) from None
    if trial.dialect is not Dialect.EMBEDDINGS:
        facts.max_output_tokens = trial.max_output_tokens
    facts.has_tools, facts.has_images = trial.has_tools, trial.has_images
    return facts
