"""The JSON door for bare costs."""

from datetime import datetime, timedelta

from tests.traces.corpus.case import Case, iso, raw_json
from tests.traces.corpus.json_traces import NEVER_A_NUMBER, NEVER_A_TIME, NEVER_AN_ID


def cases(now: datetime) -> list[Case]:
    good = {
        "id": "good",
        "occurred_at": iso(now),
        "provider": "openai",
        "model": "gpt-5.5",
        "input_tokens": 5,
    }
    ahead = f'"{iso(now + timedelta(days=400))}"'
    found = []

    def item(name: str, literal: str, field: str, is_refused: bool = True) -> None:
        bad = good | {"id": "bad", field: "@x@"}
        body = raw_json({"costs": [bad, good]}, x=ahead if literal == "@ahead@" else literal)
        stored = 1 if is_refused else 2
        found.append(
            Case(
                name=f"costs/{name}",
                door="costs",
                body=body,
                statuses=(207,),
                stored=stored,
                rejected=2 - stored,
            )
        )

    for field in ("input_tokens", "output_tokens", "cost_usd", "time_to_first_token_ms"):
        for name, literal in NEVER_A_NUMBER.items():
            item(f"{field}-{name}", literal, field)
    for name, literal in NEVER_A_TIME.items():
        item(f"occurred_at-{name}", literal, "occurred_at")
    for name, literal in NEVER_AN_ID.items():
        item(f"id-{name}", literal, "id")
    item("cost-too-dear", "1000000.01", "cost_usd")
    item("occurred_at-null", "null", "occurred_at")
    item("metadata-ignored", '{"project_id": 5}', "metadata", is_refused=False)
    item("project-ignored", '"other"', "project_id", is_refused=False)
    for name, body in {
        "empty": b"",
        "scalar": b"1",
        "traces-door-body": b'{"traces":[]}',
        "costs-text": b'{"costs":"x"}',
        "deep": b"[" * 100_000,
    }.items():
        found.append(Case(name=f"costs/body-{name}", door="costs", body=body))
    many = raw_json({"costs": [good] * 5_001})
    found.append(Case(name="costs/body-5001", door="costs", body=many, statuses=(413,)))
    return found
