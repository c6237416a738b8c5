"""What the exam injects: each function makes one kind of gap in a month's world."""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from benchmarks.reconciliation_world import FIRST, HOUSE, MODELS, NOW, Call, Extra, World

Inject = Callable[[World, random.Random], None]


def _some(world: World, rng: random.Random, share: float) -> list[Call]:
    ours = [call for call in world.calls if not call.is_outside]
    return rng.sample(ours, int(len(ours) * share))


def outside(world: World, rng: random.Random) -> None:
    """A cron job's key that nobody told LLMLab of; its owner marked it in the mapping."""
    for call in _some(world, rng, 0.1):
        world.calls.append(
            replace(
                call, key="key-cron", is_recorded=False, is_outside=True, is_billed=True, has_usage=True,
                knows_tier=True, knows_cache=True, used={**call.used, "output": rng.randrange(100, 5_000)},
            )
        )  # fmt: skip


def outside_unmapped(world: World, rng: random.Random) -> None:
    """The same, and nobody marked it."""
    outside(world, rng)
    world.is_mapped = False


def lost_usage(world: World, rng: random.Random) -> None:
    """Streams whose usage never arrived."""
    for call in _some(world, rng, 0.08):
        call.has_usage = False


def not_billed(world: World, rng: random.Random) -> None:
    """Calls over an account whose bill is not connected."""
    for call in _some(world, rng, 0.05):
        call.is_billed = False


def price(world: World, rng: random.Random) -> None:
    """One model of each provider is dearer than our list says."""
    world.dearer["openai"]["gpt-5-mini"] = Decimal("1.2")
    world.dearer["anthropic"]["claude-sonnet-5-5"] = Decimal("0.9")


def missing_price(world: World, rng: random.Random) -> None:
    """A model the catalogue does not know."""
    for provider in MODELS:
        for call in [
            c for c in world.calls if c.provider == provider and c.model == MODELS[provider][0]
        ][::6]:
            call.model, call.tier = HOUSE, "standard"


def discount(world: World, rng: random.Random) -> None:
    """A contract of 12 % off everything."""
    world.discount = {provider: Decimal("0.88") for provider in MODELS}


def discount_stated(world: World, rng: random.Random) -> None:
    """The same, where the bill states the list price beside it."""
    discount(world, rng)
    world.states_list = True


def tier(world: World, rng: random.Random) -> None:
    """Batch calls whose records do not say so."""
    for call in world.calls:
        if call.tier == "batch" and rng.random() < 0.6:
            call.knows_tier = False


def split(world: World, rng: random.Random) -> None:
    """An instrumentation that counts cached tokens as plain input."""
    for call in _some(world, rng, 0.15):
        call.knows_cache = False


def rounding(world: World, rng: random.Random) -> None:
    """Bills in hundredths of a cent, and of a cent."""
    world.decimals = {"openai": 4, "anthropic": 2}


def late(world: World, rng: random.Random) -> None:
    """The last two days are not on the bill yet."""
    end = dt.datetime.combine(FIRST + dt.timedelta(days=world.days - 2), dt.time(), dt.UTC)
    for provider in MODELS:
        world.ends[provider] = end
    for call in world.calls:
        if call.at >= end:
            call.is_billed = False


def time_zone(world: World, rng: random.Random) -> None:
    """Billing days of California, while the account is taken to bill by UTC."""
    world.zones = dict.fromkeys(MODELS, "America/Los_Angeles")


def currency(world: World, rng: random.Random) -> None:
    """Billed in euros at the provider's rate, converted with ours."""
    world.currency = {
        "openai": ("EUR", Decimal("0.9137"), Decimal("1.0850000000")),
        "anthropic": ("GBP", Decimal("0.7702"), Decimal("1.3100000000")),
    }


def credits(world: World, rng: random.Random) -> None:
    """Promotional credits, and a goodwill adjustment."""
    for provider in MODELS:
        for place in (3, world.days - 2):
            day = FIRST + dt.timedelta(days=place)
            world.extras.append(
                Extra(provider, day, "credit", Decimal("-2.37"), "Promotional credit")
            )


def tax_and_fees(world: World, rng: random.Random) -> None:
    """Tax, and file storage that no call carries."""
    for provider in MODELS:
        day = FIRST + dt.timedelta(days=world.days // 2)
        world.extras.append(Extra(provider, day, "tax", Decimal("4.19"), "VAT"))
        world.extras.append(Extra(provider, day, "usage", Decimal("1.13"), "File storage"))


CAUSES: dict[str, Inject] = {
    one.__name__: one
    for one in (
        outside, outside_unmapped, lost_usage, not_billed, price, missing_price, discount, discount_stated, tier,
        split, rounding, late, time_zone, currency, credits, tax_and_fees,
    )
}  # fmt: skip
# Two that exclude each other, or are one and the same in two forms.
NOT_TOGETHER = [
    {"outside", "outside_unmapped"},
    {"discount", "discount_stated"},
    # One factor over a bill in a foreign currency cannot be divided unless the bill states its list prices.
    {"discount", "currency"},
]
__all__ = ["CAUSES", "NOT_TOGETHER", "NOW"]
