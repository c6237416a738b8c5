"""When the company's agents ran in the thirty days before the demo began, and for whom."""

import datetime as dt
import random
from collections.abc import Iterator

from examples.demo.agents import AGENTS, Conditions
from examples.demo.showcase import SHOWCASE_AGENTS
from examples.demo.story import Recorder, Story, seeded

DAYS = 30
WEEKDAYS = (1.12, 1.1, 1.05, 1.0, 0.98, 0.55, 0.48)
HOURS = (2, 1, 1, 1, 1, 2, 5, 12, 22, 30, 33, 32, 27, 29, 31, 30, 27, 23, 19, 17, 15, 12, 8, 4)
MIX = (("support-answer", 52), ("triage", 31), ("refund-agent", 17))
SCHEDULED = ("batch-labelling", "nightly-digest", "catalogue-audit")
# The rarer agents: at which hour, and every how many days.
SHOWCASE = (("catalogue-audit", 3.5), ("goodwill-approval", 9.25), ("damage-claim", 10.6))
EVERY = {"catalogue-audit": 7, "goodwill-approval": 3, "damage-claim": 1}
NEW_PROMPT_DAYS_AGO, NEW_MODEL_DAYS_AGO, INCIDENT_DAYS_AGO = 6, 14, 9
BATCHES_A_NIGHT = 5
# Which release ran until how many days ago, oldest first; the last one names queues nobody has made.
RELEASES = (
    (20, "2026.10.4"),
    (NEW_MODEL_DAYS_AGO, "2026.10.5"),
    (NEW_PROMPT_DAYS_AGO, "2026.11.0"),
)
CURRENT_RELEASE, NEXT_RELEASE = "2026.11.1", "2026.11.2-rc1"
# A customer who writes again keeps the conversation: the chance of one more turn, and of no more than these.
ANOTHER_TURN, MOST_TURNS = 0.45, 5


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
    turns: list[Story] = []
    for number in range(count):
        seed = f"{day}|{number}"
        chance = seeded("slot", seed)
        if turns and len(turns) < MOST_TURNS and chance.random() < ANOTHER_TURN:
            at = turns[-1].ended_at + dt.timedelta(seconds=chance.uniform(40, 400))
            turns.append(run("support-answer", seed, at, anchor, follows=turns[0]))
            yield turns[-1]
            continue
        hour = chance.choices(range(24), HOURS)[0]
        at = midnight + dt.timedelta(hours=hour, seconds=chance.uniform(0, 3600))
        story = run(chance.choices(names, shares)[0], seed, at, anchor)
        turns = [story] if story.name == "support-answer" else []
        yield story
    for number in range(BATCHES_A_NIGHT):
        seed = f"{day}|batch|{number}"
        at = midnight + dt.timedelta(
            hours=2, minutes=20 * number, seconds=seeded(seed).uniform(0, 300)
        )
        yield run("batch-labelling", seed, at, anchor)
    yield run(
        "nightly-digest", f"{day}|digest", midnight + dt.timedelta(hours=5, minutes=30), anchor
    )
    for agent, oclock in SHOWCASE:
        if day.toordinal() % EVERY[agent] == 0:
            yield run(agent, f"{day}|{agent}", midnight + dt.timedelta(hours=oclock), anchor)


def run(
    agent: str, seed: str, at: dt.datetime, anchor: dt.datetime, *, follows: Story | None = None
) -> Story:
    """One run of an agent at a moment; `follows` is an earlier turn of the same conversation."""
    facts = _circumstances(agent, seed, at, anchor)
    if follows is not None:
        facts |= {name: follows.facts[name] for name in ("user", "session", "tags", "metadata")}
    recorder = Recorder(seed, agent, at, facts)
    (AGENTS | SHOWCASE_AGENTS)[agent](recorder, _conditions(at, anchor))
    return recorder.story


def _conditions(at: dt.datetime, anchor: dt.datetime) -> Conditions:
    age = (anchor - at).total_seconds() / 86_400
    incident = (anchor - dt.timedelta(days=INCIDENT_DAYS_AGO)).date()
    return Conditions(
        is_incident=at.date() == incident and 13 <= at.hour < 16,
        has_new_prompt=age < NEW_PROMPT_DAYS_AGO,
        has_new_model=age < NEW_MODEL_DAYS_AGO,
        has_routing_bug=age < NEW_PROMPT_DAYS_AGO,
    )


def _circumstances(
    agent: str, seed: str, at: dt.datetime, anchor: dt.datetime
) -> dict[str, object]:
    chance = seeded("circumstances", seed)
    is_scheduled = agent in SCHEDULED
    age = (anchor - at).total_seconds() / 86_400
    release = next((name for until, name in RELEASES if age >= until), CURRENT_RELEASE)
    is_staging = not is_scheduled and chance.random() < 0.09
    facts: dict[str, object] = {
        "agent_name": agent,
        "environment": "staging" if is_staging else "production",
        "release": NEXT_RELEASE if is_staging else release,
        "feature": "back-office" if is_scheduled else "customer-care",
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
        "session": f"conv-{at:%Y%m%d-%H%M%S}-{user:04d}",
        "tags": tags,
        "metadata": {"channel": channel, "country": country},
    }


def _user(chance: random.Random) -> int:
    """Few customers write often, many write once."""
    return int(min(chance.paretovariate(0.9), 400) * 3) + chance.randrange(4)
