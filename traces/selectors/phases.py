"""The phases of the gateway calls among drawn steps. They lie with what was said, so they are read for few steps."""

from collections.abc import Iterable

import msgspec

from core.crypto import DecryptionError, data_cipher
from projects.models import Project
from traces.contents import rows_holding, split_row
from traces.ingest.twins import GATEWAY
from traces.phases import WORDS, Phase, phases_of
from traces.waterfall import StepFacts

MOST_STEPS = 200
# Of payloads opened for one page, before compression; the steps beyond have plain bars.
MOST_BYTES = 2 * 1024 * 1024
Phases = dict[str, tuple[Phase, ...]]

# Only these few of a payload's values are decoded.
_Attributes = msgspec.defstruct(
    "_Attributes",
    [(name, float | None, None) for name in WORDS],
    rename={name: f"llmlab.gateway.{name}_ms" for name in WORDS},
)
_Payload = msgspec.defstruct("_Payload", [("attributes", _Attributes | None, None)])
_decode = msgspec.msgpack.Decoder(_Payload).decode


def phases_in(project: Project, trace_id: str, steps: Iterable[StepFacts]) -> Phases:
    """Phases by step id. Two queries, none when no gateway call is among `steps`."""
    calls = {step.span_id: step for step in steps if step.dialect == GATEWAY}
    calls = dict(list(calls.items())[:MOST_STEPS])
    if not calls:
        return {}
    starts = [step.started_at for step in calls.values()]
    rows = rows_holding(
        project_id=project.pk,
        trace_ids=[trace_id],
        span_ids=calls,
        since=min(starts),
        until=max(starts),
    )
    affordable, volume = [], 0
    for key, size in rows.order_by("started_at").values_list("pk", "size"):
        volume += size
        if volume > MOST_BYTES:
            break
        affordable.append(key)
    cipher, found = data_cipher(project.organization.data_key), Phases()
    for row in rows.filter(pk__in=affordable) if affordable else ():
        try:
            for span_id, raw in split_row(cipher, row):
                if span_id in calls:
                    found[span_id] = _read(bytes(raw))
        except DecryptionError:
            continue  # the pane says so
    return {span_id: phases for span_id, phases in found.items() if phases}


def _read(raw: bytes) -> tuple[Phase, ...]:
    try:
        attributes = getattr(_decode(raw), "attributes", None)
    except msgspec.MsgspecError:
        return ()
    if attributes is None:
        return ()
    return phases_of({f"llmlab.gateway.{name}_ms": getattr(attributes, name) for name in WORDS})
