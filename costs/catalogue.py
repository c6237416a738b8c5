"""Finds the price of a model in the bundled catalogue (genai-prices) and compiles it into a small,
fast plan.

The catalogue matches names generously. We do not: a provider is taken only when its name is one of
the catalogue's own or a known alias, because a self-hosted "openai-compatible" server must never be
charged at OpenAI's prices. Lookups are memoised in bounded tables, since names come from outside.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import msgspec
from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices
from genai_prices.units import UnitDef, _get_registry

from costs.provider_names import ALIASES

Context = tuple[tuple[str, str], ...]

SELF_HOSTED = {
    "custom", "custom_openai", "huggingface_local", "llama.cpp", "llama_cpp", "llamacpp",
    "llamafile", "lm-studio", "lm_studio", "lmstudio", "local", "localai", "mlx", "ollama",
    "openai-compatible", "openai-like", "openai_compatible", "openai_like", "self-hosted",
    "self_hosted", "sglang", "text-generation-inference", "tgi", "triton", "vllm", "xinference",
}  # fmt: skip
# They pass a call on and name the real provider in the model: "anthropic/claude-…".
ROUTERS = {
    "aisdk", "cloudflare-ai-gateway", "gateway", "helicone", "litellm", "litellm_proxy",
    "portkey", "router", "vercel",
}  # fmt: skip

MAX_MATCHES = 4096
MAX_PLANS = 1024


class Unit(msgspec.Struct, frozen=True):
    """One priced quantity: what it counts, its price, and the more specific units taken out of it
    first.
    """

    usage_key: str
    per: int
    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]  # highest threshold first
    inside: tuple[int, ...]

    def price_per_unit(self, input_tokens: int) -> Decimal:
        """The price of one token, search or request. Passing a threshold reprices the whole
        request.
        """
        for start, price in self.tiers:
            if input_tokens > start:
                return price / self.per
        return self.base / self.per


class Plan(msgspec.Struct, frozen=True):
    """A model's prices at one moment and tier. `units` are most specific first."""

    units: tuple[Unit, ...]
    keys: frozenset[str]
    is_tier_known: bool


class Match:
    """A model found in the catalogue, with its compiled prices per effective period."""

    __slots__ = ("_daily", "_plans", "_timed", "is_guessed", "model", "provider")

    def __init__(self, provider: Provider, model: ModelInfo, *, is_guessed: bool) -> None:
        self.provider = provider
        self.model = model
        self.is_guessed = is_guessed
        conditions = model.prices if isinstance(model.prices, list) else []
        found = [
            item.constraint
            for item in (*conditions, *(model.price_variants or ()))
            if item.constraint
        ]
        # Prices by time of day cannot be remembered per day: their active set is part of the key
        # instead.
        self._timed = [item for item in found if not isinstance(item, StartDateConstraint)]
        self._daily = bool(found)
        self._plans: dict[Any, Plan] = {}

    @property
    def has_hours(self) -> bool:
        """Whether the price also depends on the hour of the day."""
        return bool(self._timed)

    @property
    def start_dates(self) -> list[date]:
        """The days on which the standard price changes."""
        conditions = self.model.prices if isinstance(self.model.prices, list) else []
        return [
            item.constraint.start_date
            for item in conditions
            if isinstance(item.constraint, StartDateConstraint)
        ]

    @property
    def is_free(self) -> bool:
        """Whether an entry without any price means "costs nothing" rather than "not known"."""
        return self.model.id.endswith(":free") or (self.provider.id, self.model.id) == (
            "openai",
            "moderation",
        )

    def plan(self, at: datetime, context: Context) -> Plan:
        """The prices in force at `at` for the tier in `context`."""
        day = at.toordinal() if self._daily else 0
        timed = tuple(item.active(at) for item in self._timed) if self._timed else None
        key = (day, timed, context)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._compile(at, context)
        return plan

    def _compile(self, at: datetime, context: Context) -> Plan:
        own = any(
            self.model is model for model in self.provider.models
        )  # not borrowed from another provider
        prices = self.model.get_prices(at, dict(context) if own else None)
        wanted = dict(context)
        active = {
            key
            for variant in (self.model.price_variants or () if own else ())
            if (variant.constraint is None or variant.constraint.active(at))
            and all(wanted.get(key) == value for key, value in variant.when.items())
            for key in variant.when
        }
        units = _compile_units(prices)
        return Plan(
            units=units,
            keys=frozenset(unit.usage_key for unit in units),
            is_tier_known=active.issuperset(wanted),
        )


def plan_of(prices: ModelPrice) -> Plan:
    """Prices from elsewhere as a plan that holds for every tier."""
    units = _compile_units(prices)
    return Plan(units=units, keys=frozenset(unit.usage_key for unit in units), is_tier_known=True)


def _compile_units(prices: ModelPrice) -> tuple[Unit, ...]:
    registry = _get_registry()
    priced: list[tuple[UnitDef, Decimal | TieredPrices]] = []
    for price_key, price in prices.__dict__.items():
        if price is not None and price_key in registry._all_price_keys:
            priced.append((registry.unit_for_price_key(price_key), price))
    priced.sort(key=lambda item: (-len(item[0].dimensions), item[0].usage_key))
    return tuple(
        Unit(
            usage_key=unit.usage_key,
            per=unit.per,
            base=price.base if isinstance(price, TieredPrices) else price,
            tiers=tuple((tier.start, tier.price) for tier in reversed(price.tiers))
            if isinstance(price, TieredPrices)
            else (),
            inside=tuple(
                index
                for index, (other, _) in enumerate(priced)
                if other is not unit and unit.dimensions.items() <= other.dimensions.items()
            ),
        )
        for unit, price in priced
    )


class Catalogue:
    """Name lookups over one snapshot of the catalogue."""

    def __init__(
        self, snapshot: data_snapshot.DataSnapshot, *, max_matches: int = MAX_MATCHES
    ) -> None:
        self.snapshot = snapshot
        self.max_matches = max_matches
        self.source = f"genai-prices {version('genai-prices')}"
        if snapshot.from_auto_update:
            self.source += f" updated {snapshot.timestamp:%Y-%m-%d}"
        self._providers = {provider.id: provider for provider in snapshot.providers}
        self._matches: dict[tuple[str, str, str], Match | str] = {}

    def find(self, provider: str, model: str, request_model: str) -> Match | str:
        """The model, or the reason it cannot be priced: self_hosted, unknown_provider, no_model,
        unknown_model.
        """
        key = (provider, model, request_model)
        found = self._matches.get(key)
        if found is None:
            if len(self._matches) >= self.max_matches:
                self._matches.clear()
            found = self._matches[key] = self._find(*key)
        return found

    def identify(
        self, provider: str, model: str, request_model: str
    ) -> tuple[frozenset[str], tuple[str, ...]]:
        """What an organisation's rules may call this provider and model: as the call says, and as
        the catalogue does. A router's calls are also the provider's it names.
        """
        said = provider.strip().lower()
        own = ALIASES.get(said, said)
        providers, names = {said, own}, []
        for text in (model, request_model):
            if not (name := _clean(text)):
                continue
            prefix, slash, rest = name.partition("/")
            maker = ALIASES.get(prefix, prefix)
            names.append(name)
            if slash and maker in self._providers and (not own or own in ROUTERS or own == maker):
                providers.add(maker)
                names.append(rest)
        match = self.find(provider, model, request_model)
        if isinstance(match, Match):
            providers.add(match.provider.id)
            names.append(match.model.id.lower())
        return frozenset(providers - {""}), tuple(dict.fromkeys(names))

    def _find(self, provider: str, model: str, request_model: str) -> Match | str:
        name = provider.strip().lower()
        if name in SELF_HOSTED:
            return "self_hosted"
        name = ALIASES.get(name, name)
        is_router = name in ROUTERS
        if name and not is_router and name not in self._providers:
            return "unknown_provider"
        candidates = [_clean(text) for text in (model, request_model) if text.strip()]
        if not candidates:
            return "no_model"
        for candidate in candidates:
            if match := self._match("" if is_router else name, candidate):
                return match
        return "unknown_model"

    def _match(self, name: str, model: str) -> Match | None:
        prefix, slash, rest = model.partition("/")
        prefix = ALIASES.get(prefix, prefix)
        if name:
            provider = self._providers[name]
            found = self._model(provider, model)
            if found is None and slash and prefix == name:
                found = self._model(provider, rest)
            return Match(provider, found, is_guessed=False) if found else None
        if slash:
            if prefix not in self._providers:
                return None
            found = self._model(self._providers[prefix], rest)
            return Match(self._providers[prefix], found, is_guessed=False) if found else None
        for provider in self._providers.values():
            is_maker = provider.model_match is not None and provider.model_match.is_match(model)
            if is_maker or (provider.id == "openai" and model.startswith("text-embedding-")):
                found = self._model(provider, model)
                return Match(provider, found, is_guessed=True) if found else None
        return None

    def _model(self, provider: Provider, model: str) -> ModelInfo | None:
        return provider.find_model(model, all_providers=self.snapshot.providers)


def _clean(model: str) -> str:
    """Drops the resource path some clouds put before a model's name."""
    text = model.strip().lower()
    if (
        text.startswith("arn:")
        or "publishers/" in text
        or text.startswith(("models/", "tunedmodels/"))
    ):
        text = text.rpartition("/")[2]
    return text


_current: Catalogue | None = None


def current_catalogue() -> Catalogue:
    """The catalogue over the snapshot genai-prices holds now; a replaced snapshot starts with empty
    memory.
    """
    global _current
    snapshot = data_snapshot.get_snapshot()
    if _current is None or _current.snapshot is not snapshot:
        _current = Catalogue(snapshot)
    return _current


def as_utc(at: datetime) -> datetime:
    """`at` in UTC, where a price's first day begins; a naive time is taken as UTC."""
    if at.tzinfo is UTC:
        return at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
