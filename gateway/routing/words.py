"""Routes in words for people (pure)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from gateway.routing.matching import DAYS
from gateway.structs import Match, RouteRules, TargetRule

CHOICES = {
    "weight": "By weight",
    "cost": "The cheapest first",
    "latency": "The fastest first",
    "quality": "The best scored first",
}
REASONS = {
    "error": "an error of the provider (5xx, broken connection)",
    "timeout": "a time-out",
    "rate_limit": "a rate limit or an empty account",
    "context_length": "a prompt that is too long for the model",
    "content_filter": "the provider's content filter",
    "auth": "refused credentials",
}
STICKY = {"": "No", "user": "Per user", "session": "Per session"}


@dataclass(frozen=True)
class Shown:
    """A target as pages show it."""

    connection: str
    is_known: bool
    model: str
    share: str  # of its step's calls, when weights decide; else empty
    percent: float
    weight: int
    is_canary: bool
    conditions: str


@dataclass(frozen=True)
class Step:
    """One link of the chain."""

    number: int
    targets: list[Shown]


def chain_of(rules: RouteRules, names: Mapping[str, str]) -> list[Step]:
    """The targets step by step. `names` are connections' by id without dashes."""
    steps: dict[int, list[TargetRule]] = defaultdict(list)
    for target in rules.targets:
        steps[target.step].append(target)
    return [
        Step(number, [_shown(one, steps[step], rules, names) for one in steps[step]])
        for number, step in enumerate(sorted(steps))
    ]


def _shown(
    one: TargetRule, step: list[TargetRule], rules: RouteRules, names: Mapping[str, str]
) -> Shown:
    total = sum(other.weight for other in step)
    share = Fraction(one.weight, total) if total else Fraction(0)
    is_drawn = rules.choose == "weight" and len(step) > 1
    return Shown(
        connection=names.get(one.connection, "A connection that is gone"),
        is_known=one.connection in names,
        model=one.model or "the model asked for",
        share=_percent(share) if is_drawn else "",
        percent=float(share * 100),
        weight=one.weight,
        is_canary=one.is_canary,
        conditions=match_words(one.when),
    )


def _percent(share: Fraction) -> str:
    value = float(share * 100)
    return f"{value:.0f}%" if value == round(value) else f"{value:.1f}%"


def match_words(when: Match) -> str:
    """The conditions of a match, joined; empty when it holds for all calls."""
    words = [
        f"{label} {' or '.join(values)}"
        for label, values in (
            ("tag", when.tags),
            ("user", when.users),
            ("agent", when.agents),
            ("environment", when.environments),
        )
        if values
    ]
    if when.prompt_contains:
        words.append(f"prompt contains “{when.prompt_contains}”")
    if when.min_input_tokens is not None:
        words.append(f"from {when.min_input_tokens:,} input tokens")
    if when.max_input_tokens is not None:
        words.append(f"up to {when.max_input_tokens:,} input tokens")
    if when.hours is not None:
        words.append(f"{when.hours[0]}–{when.hours[1]} o'clock UTC")
    if when.weekdays:
        words.append(" or ".join(DAYS[day] for day in when.weekdays))
    for value, yes, no in (
        (when.is_stream, "streams", "does not stream"),
        (when.has_tools, "has tools", "has no tools"),
        (when.has_images, "has images", "has no images"),
    ):
        if value is not None:
            words.append(yes if value else no)
    return ", ".join(words)


def facts_of_rules(rules: RouteRules) -> list[tuple[str, str]]:
    """What a route says beside its targets: label and words."""
    retry = rules.retry
    tries = "once" if retry.tries == 1 else f"{retry.tries} times"
    waits = f", waiting up to {retry.first_wait_s:g} s, doubled up to {retry.longest_wait_s:g} s"
    found = [
        ("Chooses", CHOICES[rules.choose]),
        ("Same target for the same", STICKY[rules.sticky].removeprefix("Per ")),
        ("Asks a target", tries + (waits if retry.tries > 1 else "")),
        ("Falls back on", "; ".join(REASONS[one] for one in rules.fallback_on) or "nothing"),
        ("Time-out of an answer", f"{rules.timeout_s:g} s"),
    ]
    if rules.first_token_s is not None:
        found.append(("First token within", f"{rules.first_token_s:g} s, else the next target"))
    if rules.hedge_after_s is not None:
        found.append(("Hedges", f"asks a second target after {rules.hedge_after_s:g} s"))
    found.append(("Cache", cache_words(rules)))
    if rules.guards:
        kinds = ", ".join(f"{one.kind.replace('_', ' ')} ({one.action})" for one in rules.guards)
        found.append(("Guards beside the project's", kinds))
    if rules.on_client_gone:
        gone = {"drain": "finish and record it", "cancel": "cancel it"}[rules.on_client_gone]
        found.append(("When the client leaves", gone))
    return found


def cache_words(rules: RouteRules) -> str:
    """What a route says of caching."""
    cache = rules.cache
    if cache is None:
        return "as the project's"
    kinds = [kind for kind, on in (("exact", cache.exact), ("semantic", cache.semantic)) if on]
    if not kinds:
        return "off"
    per = ", per user" if cache.per_user else ""
    return f"{' and '.join(kinds)}, kept {cache.ttl_s:,} s{per}"
