"""A month of two providers' calls, seen twice: as LLMLab records them and as the providers bill them.

Every injected cause changes one of the two views of some calls, and the world itself says what each cause is worth:
call by call, from the true prices. The reconciliation under test sees nothing but the tables.
"""

import datetime as dt
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from costs.billing.rates import PLACES
from costs.models import (
    BilledCost,
    BilledUsage,
    BillingAccount,
    BillingMapping,
    CurrencyRate,
    ReconciliationRun,
)
from costs.price_rules import NO_RULES
from costs.reconciliation.prices_of import price_list
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage

FIRST, DAYS = dt.date(2026, 10, 20), 30
NOW = dt.datetime(2026, 11, 26, 9, tzinfo=dt.UTC)
MODELS = {
    "openai": ("gpt-5.5", "gpt-5-mini", "gpt-4.1"),
    "anthropic": ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5"),
}
HOUSE = "house-model-1"  # the catalogue does not know it
HOUSE_PRICES = {"input": Decimal("0.000003"), "cache_read": Decimal("0.0000003"), "cache_write": Decimal("0.000003"),
                 "cache_write_5m": Decimal("0.00000375"), "output": Decimal("0.000012")}  # fmt: skip
Amounts = dict[tuple[str, dt.date, str], Fraction]


@dataclass
class Call:
    """One call as it really was, and what each side knows of it."""

    provider: str
    at: dt.datetime
    model: str
    tier: str
    project: int
    key: str
    used: dict[str, int]
    is_recorded: bool = True
    has_usage: bool = True
    knows_tier: bool = True
    knows_cache: bool = True
    is_billed: bool = True
    is_outside: bool = False


@dataclass
class Extra:
    """A line of the bill that is no usage."""

    provider: str
    day: dt.date
    category: str
    amount: Decimal
    words: str


@dataclass
class World:
    """Both sides of a month. Injections change it; `expected` is what they are worth."""

    calls: list[Call]
    extras: list[Extra] = field(default_factory=list)
    # Of the real price over the list's: provider → model → factor.
    dearer: dict[str, dict[str, Decimal]] = field(default_factory=lambda: defaultdict(dict))
    discount: dict[str, Decimal] = field(default_factory=dict)
    states_list: bool = False
    # Currency, units per dollar at the provider, dollars per unit in our table.
    currency: dict[str, tuple[str, Decimal, Decimal]] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)
    decimals: dict[str, int] = field(default_factory=dict)
    ends: dict[str, dt.datetime] = field(default_factory=dict)
    is_mapped: bool = True
    days: int = DAYS
    # Worked out while the bill is written.
    rounding: Amounts = field(default_factory=lambda: defaultdict(Fraction))
    billed: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))

    def billing_day(self, call: Call) -> dt.date:
        return call.at.astimezone(ZoneInfo(self.zones.get(call.provider, "UTC"))).date()

    def end(self, provider: str) -> dt.datetime:
        return self.ends.get(provider, NOW)


def make_world(seed: int = 1, *, days: int = DAYS, per_day: int = 5) -> World:
    """The month without a gap."""
    rng = random.Random(seed)
    calls = []
    for provider, models in MODELS.items():
        for model in models:
            for day in range(days):
                for number in range(per_day):
                    at = dt.datetime.combine(
                        FIRST, dt.time(rng.randrange(24), rng.randrange(60)), dt.UTC
                    )
                    calls.append(_call(rng, provider, model, at + dt.timedelta(days=day), number))
    return World(calls, days=days)


def _call(rng: random.Random, provider: str, model: str, at: dt.datetime, number: int) -> Call:
    used = {
        "input": rng.randrange(2_000, 60_000),
        "cache_read": rng.randrange(1_000, 30_000),
        "output": rng.randrange(500, 9_000),
    }
    if provider == "anthropic":
        used["cache_write_5m"] = rng.randrange(1_000, 8_000)
    project = number % 2
    tier = "batch" if number == 4 else "standard"
    return Call(provider, at, model, tier, project, f"key-{project}", used)


def price(world: World, call: Call, tier: str, token_class: str) -> Fraction:
    """The list's price of a unit that day."""
    if call.model == HOUSE:
        return Fraction(HOUSE_PRICES[token_class])
    found = _prices(call.provider)(call.model, tier, token_class, call.at.date())
    assert found is not None, (call.model, tier, token_class)
    return Fraction(found)


_lists: dict[str, Any] = {}


def _prices(provider: str) -> Any:
    return _lists.setdefault(provider, price_list(provider, NO_RULES))


def true_price(world: World, call: Call, token_class: str) -> Fraction:
    """What the provider charges before discount, in dollars."""
    factor = world.dearer[call.provider].get(call.model, Decimal(1))
    return price(world, call, call.tier, token_class) * Fraction(factor)


def factors(world: World, provider: str) -> tuple[Fraction, Fraction]:
    """Of discount and of exchange: what our dollars make of the provider's."""
    off = Fraction(world.discount.get(provider, Decimal(1)))
    if provider not in world.currency:
        return off, Fraction(1)
    _, theirs, ours = world.currency[provider]
    return off, Fraction(theirs) * Fraction(ours)


def recorded_usage(call: Call) -> dict[str, int]:
    """What the record says was used."""
    if call.knows_cache:
        return call.used
    rest = {
        name: count
        for name, count in call.used.items()
        if name not in ("cache_read", "cache_write_5m")
    }
    rest["input"] = sum(count for name, count in call.used.items() if name != "output")
    return rest


def expected(world: World) -> Amounts:
    """What each cause is worth, by provider, day and cause. Call after the bill was written."""
    found: Amounts = defaultdict(Fraction)
    for call in world.calls:
        _expect(world, call, found)
    for extra in world.extras:
        kind = {"credit": "credits", "tax": "tax", "purchase": "fee", "usage": "fee"}[
            extra.category
        ]
        found[extra.provider, extra.day, kind] += Fraction(extra.amount) * (
            Fraction(world.currency[extra.provider][2]) if extra.provider in world.currency else 1
        )
    for place, usd in world.rounding.items():
        found[place] += usd
    return {place: usd for place, usd in found.items() if usd}


def _expect(world: World, call: Call, found: Amounts) -> None:
    day, provider = world.billing_day(call), call.provider
    off, exchange = factors(world, provider)
    tier = call.tier if call.knows_tier else "standard"
    used = recorded_usage(call)
    is_priced = call.has_usage and call.model != HOUSE
    recorded = (
        sum(price(world, call, tier, name) * count for name, count in used.items())
        if call.is_recorded and is_priced
        else Fraction(0)
    )
    if call.is_recorded and day != call.at.date():
        found[provider, day, "time_zone"] += recorded
        found[provider, call.at.date(), "time_zone"] -= recorded
    if not call.is_billed:
        is_late = call.at >= world.end(provider)
        found[provider, day, "late" if is_late else "not_billed"] -= recorded
        return
    true = sum(true_price(world, call, name) * count for name, count in call.used.items())
    if call.is_outside:
        found[provider, day, "outside"] += true * off * exchange
        return
    found[provider, day, "discount"] += true * (off - 1) * exchange
    found[provider, day, "currency"] += true * (exchange - 1)
    if not call.has_usage:
        found[provider, day, "lost_usage"] += true
    elif call.model == HOUSE:
        found[provider, day, "missing_price"] += true
    else:
        listed = sum(
            price(world, call, call.tier, name) * count for name, count in call.used.items()
        )
        same_tier = sum(price(world, call, tier, name) * count for name, count in call.used.items())
        found[provider, day, "price"] += true - listed
        found[provider, day, "tier"] += listed - same_tier
        found[provider, day, "split"] += same_tier - recorded


def write_records(world: World, projects: list[Any]) -> None:
    """The recorded side, through the ledger's own door."""
    for number, project in enumerate(projects):
        calls = [
            _chargeable(call, index)
            for index, call in enumerate(world.calls)
            if call.is_recorded and call.project == number
        ]
        if calls:
            record_costs(project_id=project.pk, calls=calls, now=NOW)


def _chargeable(call: Call, index: int) -> ChargeableCall:
    used = recorded_usage(call)
    written = used.get("cache_write_5m", 0)
    usage = Usage(
        input_tokens=sum(count for name, count in used.items() if name != "output"),
        output_tokens=used["output"],
        cache_read_input_tokens=used.get("cache_read", 0),
        cache_write_input_tokens=written,
        cache_write_5m_input_tokens=written,
    )
    return ChargeableCall(
        record_id=f"call-{index}",
        occurred_at=call.at,
        provider=call.provider,
        model=call.model,
        processing="batch" if call.knows_tier and call.tier == "batch" else "",
        usage=usage if call.has_usage else None,
    )


def write_bill(
    world: World, accounts: dict[str, BillingAccount], *, is_hourly: bool = False
) -> None:
    """The billed side: cost lines by day, key and class (OpenAI's without tier), usage lines with tiers, and with
    requests where the provider counts them."""
    for provider, account in accounts.items():
        if provider in world.currency:
            currency, _, ours = world.currency[provider]
            CurrencyRate.objects.update_or_create(
                currency=currency,
                valid_from=FIRST - dt.timedelta(days=1),
                defaults={"usd_per_unit": ours},
            )
        calls = [call for call in world.calls if call.provider == provider and call.is_billed]
        _write_costs(world, account, provider, calls)
        _write_usage(world, account, provider, calls, is_hourly=is_hourly)
        _write_extras(world, account, provider)
        account.synced_through = account.data_through = world.end(provider)
        account.save()


def _write_costs(
    world: World, account: BillingAccount, provider: str, calls: Iterable[Call]
) -> None:
    sums: dict[tuple[Any, ...], list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 3)
    off = factors(world, provider)[0]
    currency, theirs, ours = world.currency.get(provider, ("USD", Decimal(1), Decimal(1)))
    for call in calls:
        for name, count in call.used.items():
            tier = "" if provider == "openai" else call.tier
            place = (world.billing_day(call), call.key, call.model, tier, name, call.is_outside)
            usd = true_price(world, call, name) * count
            old = sums[place]
            sums[place] = [old[0] + count, old[1] + usd * off, old[2] + usd]
    rows = []
    for (day, key, model, tier, name, is_outside), (count, usd, listed) in sums.items():
        exact = usd * Fraction(theirs)
        amount = _stated(exact, world.decimals.get(provider, 18))
        place = (provider, day, "outside" if is_outside else "rounding")
        world.rounding[place] += (Fraction(amount) - exact) * Fraction(ours)
        rows.append(
            BilledCost(
                **_common(account, provider, day, model, tier, name, key),
                quantity=int(count), amount=amount, currency=currency,
                list_amount=_stated(listed * Fraction(theirs), 18) if world.states_list else None,
                amount_usd=_dollars(amount, ours), category="usage",
            )
        )  # fmt: skip
    BilledCost.objects.bulk_create(rows)
    world.billed[provider] += sum((Fraction(row.amount_usd or 0) for row in rows), Fraction(0))


def _stated(value: Fraction, decimals: int) -> Decimal:
    unit = Decimal(1).scaleb(-decimals)
    units = round(value * 10**decimals)
    return Decimal(units) * unit


def _dollars(amount: Decimal, rate: Decimal) -> Decimal:
    return amount if rate == 1 else (amount * rate).quantize(PLACES, rounding=ROUND_HALF_UP)


def _common(
    account: BillingAccount, provider: str, day: dt.date, model: str, tier: str, name: str, key: str
) -> dict[str, Any]:
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return {
        "organization_id": account.organization_id, "account": account, "day": day, "starts_at": start,
        "ends_at": start + dt.timedelta(days=1), "natural_key": uuid.uuid4().hex, "source": "costs",
        "provider": provider, "sub_account_id": "main", "provider_key_id": key, "model": model,
        "service_tier": tier, "token_class": name, "unit": "tokens", "fetched_at": NOW,
    }  # fmt: skip


def _write_usage(
    world: World, account: BillingAccount, provider: str, calls: Iterable[Call], *, is_hourly: bool
) -> None:
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for call in calls:
        hour = call.at.replace(minute=0) if is_hourly else None
        for name, count in call.used.items():
            place = (world.billing_day(call), hour, call.key, call.model, call.tier, name)
            sums[place][0] += count
            sums[place][1] += 1
    rows = []
    for (day, hour, key, model, tier, name), (count, requests) in sums.items():
        common = _common(
            account, provider, day, model, "default" if tier == "standard" else tier, name, key
        )
        if hour is not None:
            common |= {"starts_at": hour, "ends_at": hour + dt.timedelta(hours=1)}
        rows.append(
            BilledUsage(
                **common, quantity=count, requests=requests if provider == "openai" else None
            )
        )
    BilledUsage.objects.bulk_create(rows)


def _write_extras(world: World, account: BillingAccount, provider: str) -> None:
    currency, _, ours = world.currency.get(provider, ("USD", Decimal(1), Decimal(1)))
    for extra in world.extras:
        if extra.provider != provider:
            continue
        common = _common(account, provider, extra.day, "", "", "", "")
        BilledCost.objects.create(
            **common, amount=extra.amount, currency=currency, category=extra.category,
            amount_usd=_dollars(extra.amount, ours), description=extra.words,
        )  # fmt: skip
        world.billed[provider] += Fraction(_dollars(extra.amount, ours))


def write_mappings(world: World, accounts: dict[str, BillingAccount]) -> None:
    """Keys that are known to be nobody's here."""
    for provider, account in accounts.items():
        keys = {c.key for c in world.calls if c.provider == provider and c.is_outside}
        if world.is_mapped:
            BillingMapping.objects.bulk_create(
                BillingMapping(account=account, provider_key_id=key, is_outside=True)
                for key in keys
            )


def start_over(organization_id: Any) -> None:
    ReconciliationRun.objects.filter(pk=organization_id).delete()


Inject = Callable[[World, random.Random], None]
