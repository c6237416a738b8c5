"""What customers, an evaluator and colleagues thought of a run: scores as the API takes them.

Decided by the trace's id alone, ids included, so sending them twice changes nothing.
"""

from typing import Any

from examples.demo.story import Story, seeded

RESOLUTIONS = ("solved", "follow-up", "escalated")
PRAISE = (
    "Quick and friendly, thank you!",
    "That was exactly what I needed to know.",
    "",
)
COMPLAINTS = (
    "It answered something I had not asked.",
    "The delivery date it gave me is wrong.",
    "Too long. I only wanted a yes or no.",
)
JUDGED = ("support-answer", "damage-claim", "goodwill-approval")


def scores_of(story: Story) -> list[dict[str, Any]]:
    """The scores of one run; most runs have none."""
    if story.name not in JUDGED:
        return []
    chance = seeded("judgement", story.trace_id)
    is_better = str(story.facts.get("prompt_version", "")).endswith("@v8")
    made = []
    if chance.random() < 0.18:
        is_up = not story.has_failed and chance.random() < (0.86 if is_better else 0.74)
        reason = chance.choice(PRAISE if is_up else COMPLAINTS)
        made.append(_score(story, "thumbs", is_up, reason, "api"))
    if chance.random() < 0.25 and not story.has_failed:
        grounded = round(min(1.0, chance.betavariate(9 if is_better else 6, 1.3)), 2)
        reason = (
            "Every claim stands in the articles."
            if grounded > 0.8
            else "One sentence has no source among the articles found."
        )
        made.append(_score(story, "groundedness", grounded, reason, "eval"))
    if chance.random() < 0.12:
        weights = (1, 3, 6) if story.has_failed else (8, 3, 1)
        found = chance.choices(RESOLUTIONS, weights)[0]
        reason = "" if found == "solved" else "The customer wrote again within a day."
        made.append(_score(story, "resolution", found, reason, "api"))
    return made


def _score(
    story: Story, name: str, value: bool | float | str, reason: str, source: str
) -> dict[str, Any]:
    return {
        "id": f"{name}-{story.trace_id}",
        "trace_id": story.trace_id,
        "name": name,
        "value": value,
        "reason": reason,
        "source": source,
        "environment": story.facts["environment"],
        "scored_at": story.ended_at.isoformat(),
    }
