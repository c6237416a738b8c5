"""Print the index of the corpus: name, door, content type, encoding, size, and what must happen."""

from datetime import UTC, datetime

from tests.traces.corpus import cases

for case in cases(datetime.now(UTC)):
    outcome = "/".join(str(status) for status in case.statuses)
    if case.stored is not None:
        outcome += f", {case.stored} stored, {case.rejected} refused"
    print(
        f"{case.name:60} {case.door:7} {case.content_type:24} {case.encoding or '-':12} "
        f"{len(case.body):9} {outcome}"
    )
