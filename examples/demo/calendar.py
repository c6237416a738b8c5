"""When the company's agents ran in the thirty days before the demo began, and for whom."""

import datetime as dt
import random
from collections.abc import Iterator

from examples.demo.agents import AGENTS, Conditions
from examples.demo.story import Recorder, Story, seeded

DAYS = 30
WEEKDAYS = (1.12, 1.1, 1.05, 1.0, 0.98, 0.55, 0.48)
HOURS = (2, 1, 1, 1, 1, 2, 5, 12, 22, 30, 33, 32, 27, 29, 31, 30, 27, 23, 19, 17, 15, 12, 8, 4)
MIX = (("support-answer", 52), ("triage", 31), ("refund-agent", 17))
NEW_PROMPT_DAYS_AGO, NEW_MODEL_DAYS_AGO, INCIDENT_DAYS_AGO = 6, 14, 9
BATCHES_A_NIGHT = 5


def month_before(anchor: dt.datetime, *, traces: int) -> Iterator[list[Story]]:
    """The stories of each of the last thirty days up to `anchor`, newest day first.

    The same anchor and number always give the same stories.
    """
    today = anchor.astimezone(dt.UTC).date()
    days = [today - dt.timedelta(days=back) for back in range(DAYS, -1, -1)]
    weights = [_weight(day, place) for place, day in enumerate(days)]
    per_weight = max(traces - DAYS * (BATCHES_A_NIGHT + 1), 0) / sum(weights)
    for day, weight in reversed(list(zip(days, weights, strict=True))):
        stories = [
            story
            for story in _day(day, round(weight * per_weight), anchor)
            if story.ended_at <= anchor
        ]
        yield sorted(stories, key=lambda story: story.started_at)


def _weight(day: dt.date, place: int) -> float:
    """Weekday, growth over the month, and some luck."""
    return (
        WEEKDAYS[day.weekday()]
        * (0.7 + 0.6 * place / DAYS)
        * seeded("day", day).uniform(0.92, 1.08)
    )


def _day(day: dt.date, count: int, anchor: dt.datetime) -> Iterator[Story]:
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    names = [name for name, _ in MIX]
    shares = [share for _, share in MIX]
    for number in range(count):
        seed = f"{day}|{number}"
        chance = seeded("slot", seed)
        hour = chance.choices(range(24), HOURS)[0]
        at = midnight + dt.timedelta(hours=hour, seconds=chance.uniform(0, 3600))
        yield run(chance.choices(names, shares)[0], seed, at, anchor)
    for number in range(BATCHES_A_NIGHT):
        seed = f"{day}|batch|{number}"
        at = midnight + dt.timedelta(
            hours=2, minutes=20 * number, seconds=seeded(seed).uniform(0, 300)
        )
        yield run("batch-labelling", seed, at, anchor)
    yield run(
        "nightly-digest", f"{day}|digest", midnight + dt.timedelta(hours=5, minutes=30), anchor
    )


def run(agent: str, seed: str, at: dt.datetime, anchor: dt.datetime) -> Story:
    """One run of an agent at a moment."""
    facts = _circumstances(agent, seed, at)
    recorder = Recorder(seed, agent, at, facts)
    AGENTS[agent](recorder, _conditions(at, anchor))
    return recorder.story


def _conditions(at: dt.datetime, anchor: dt.datetime) -> Conditions:
    age = (anchor - at).total_seconds() / 86_400
    incident = (anchor - dt.timedelta(days=INCIDENT_DAYS_AGO)).date()
    return Conditions(
        is_incident=at.date() == incident and 13 <= at.hour < 16,
        has_new_prompt=age < NEW_PROMPT_DAYS_AGO,
        has_new_model=age < NEW_MODEL_DAYS_AGO,
    )


def _circumstances(agent: str, seed: str, at: dt.datetime) -> dict[str, object]:
    chance = seeded("circumstances", seed)
    is_scheduled = agent in ("batch-labelling", "nightly-digest")
    is_staging = not is_scheduled and chance.random() < 0.09
    facts: dict[str, object] = {
        "agent_name": agent,
        "environment": "staging" if is_staging else "production",
        "release": "2026.11.2-rc1" if is_staging else "2026.11.1",
        "feature": "back-office"
        if agent in ("batch-labelling", "nightly-digest")
        else "customer-care",
    }
    if is_scheduled:
        return {
            **facts,
            "tags": ["scheduled"],
            "metadata": {"scheduler": "cron", "region": "eu-west"},
        }
    user = _user(chance)
    channel = chance.choices(("web", "mail", "app"), (6, 3, 2))[0]
    tags = [channel] + (["plus-member"] if user % 5 == 0 else [])
    country = chance.choice(("DE", "FR", "PT", "GB", "US", "NL"))
    return {
        **facts,
        "user": f"customer-{user:04d}",
        "session": f"conv-{at:%Y%m%d}-{user:04d}",
        "tags": tags,
        "metadata": {"channel": channel, "country": country},
    }


def _user(chance: random.Random) -> int:
    """Few customers write often, many write once."""
    return int(min(chance.paretovariate(0.9), 400) * 3) + chance.randrange(4)
