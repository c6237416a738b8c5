"""The company's rarer agents: hundreds of steps with agents below agents, hours of waiting, a picture."""

import json
from typing import Any

from examples.demo import models
from examples.demo.agents import Agent, Conditions
from examples.demo.models import Model, call
from examples.demo.picture import box_picture
from examples.demo.story import Recorder
from examples.support_texts import PRODUCTS, SYSTEM_PROMPT, TOPICS, answer, new_case, question

AUDITED = 34  # products; ten steps each
WORKERS: tuple[tuple[str, str, Model], ...] = (
    ("text-reviewer", "load_listing", models.MINI),
    ("price-checker", "compare_prices", models.FLASH),
    ("photo-reviewer", "load_photos", models.LLAMA),
)


def catalogue_audit(recorder: Recorder, when: Conditions) -> None:
    """Goes through the catalogue: one planner, three kinds of workers, a report."""
    chance = recorder.chance
    root = recorder.begin("agent", "catalogue-audit", input={"products": AUDITED})
    plan = recorder.begin("agent", "audit-planner")
    _ask(recorder, models.SONNET, "plan-audit", "Which listings are worth a look?", 3_400, 260)
    recorder.end(plan, output={"batches": AUDITED})
    found = 0
    for number in range(AUDITED):
        product = PRODUCTS[number % len(PRODUCTS)]
        batch = recorder.begin("chain", f"review-{number + 1}", input={"product": product})
        for worker, tool, model in WORKERS:
            step = recorder.begin("agent", worker, input={"product": product})
            recorder.leaf("tool", tool, 0.03, 0.4, input={"product": product}, output={"ok": True})
            is_fine = chance.random() < 0.9
            found += not is_fine
            verdict = {"product": product, "finding": None if is_fine else "needs a new text"}
            _ask(
                recorder, model, "judge-listing", f"Review: {product}", 700, 40, json.dumps(verdict)
            )
            recorder.end(step, output=verdict)
        recorder.end(batch)
    report = f"{found} of {AUDITED} listings need work."
    writer = recorder.begin("agent", "report-writer")
    _ask(recorder, models.SONNET, "write-report", report, 9_800, 700, report)
    recorder.leaf(
        "tool", "send_mail", 0.2, 0.6, input={"to": "shop@fernhill.example"}, output={"sent": 1}
    )
    recorder.end(writer, output=report)
    recorder.end(root, output=report)
    recorder.story.output = report


def goodwill_approval(recorder: Recorder, when: Conditions) -> None:
    """Asks a colleague and waits for hours: nearly all of the trace is nobody at work."""
    chance = recorder.chance
    case = new_case(chance, next(topic for topic in TOPICS if topic.name == "refund"))
    asked = question(chance, case)
    root = recorder.begin("agent", "goodwill-approval", input=asked)
    _ask(recorder, models.SOL, "propose-goodwill", asked, 2_600, 180)
    order = {"order": case.particulars["order"], "amount": case.particulars["amount"]}
    recorder.leaf("tool", "ask_colleague", 0.1, 0.4, input=order, output={"state": "waiting"})
    recorder.clock += chance.uniform(1.5, 5) * 3600
    recorder.leaf("tool", "read_decision", 0.1, 0.3, input=order, output={"approved": True})
    reply = answer(chance, case, 3)
    _ask(recorder, models.SOL, "answer", asked, 3_100, 210, reply)
    recorder.end(root, output=reply)
    recorder.story.input, recorder.story.output = asked, reply


def damage_claim(recorder: Recorder, when: Conditions) -> None:
    """Looks at the photo of a parcel that came damaged."""
    chance = recorder.chance
    case = new_case(chance, next(topic for topic in TOPICS if topic.name == "damage"))
    product = case.particulars["product"]
    asked = (
        f"The {product} came today and the box has a dent, see the photo. Can I have another one?"
    )
    root = recorder.begin("agent", "damage-claim", input=asked)
    picture = {"type": "image_url", "image_url": {"url": box_picture(chance)}}
    seen = "One corner of the box is crushed; the tape is unbroken, so it happened on the way."
    call(
        recorder, models.FLASH, "look-at-photo", says=seen, tokens=(1_450, 60),
        messages=[{"role": "user", "content": [{"type": "text", "text": asked}, picture]}],  # type: ignore[dict-item]
    )  # fmt: skip
    recorder.leaf(
        "tool", "book_replacement", 0.1, 0.6, input={"order": case.particulars["order"]},
        output={"status": "booked"},
    )  # fmt: skip
    reply = answer(chance, case, 3)
    _ask(recorder, models.SONNET, "answer", f"{asked}\n\nThe photo: {seen}", 4_200, 190, reply)
    recorder.end(root, output=reply)
    recorder.story.input, recorder.story.output = asked, reply


def _ask(
    recorder: Recorder, model: Model, name: str, asked: str, size: int, length: int, says: Any = ""
) -> None:
    messages = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": asked}]
    call(
        recorder, model, name, messages=messages, says=says or "The riskiest ones first.",
        tokens=(size + recorder.chance.randrange(400), length),
    )  # fmt: skip


SHOWCASE_AGENTS: dict[str, Agent] = {
    "catalogue-audit": catalogue_audit,
    "goodwill-approval": goodwill_approval,
    "damage-claim": damage_claim,
}
