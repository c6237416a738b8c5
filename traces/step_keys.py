"""Finding one step: by a 64-bit hash of project, trace and step, in an index a fifth as large as their texts.

Every statement names the key as well, so a hash that two steps share costs a row read and nothing else.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, F, Func

from traces.models import Trace


def step_key(row: str) -> str:
    """SQL of the key of a row of traces_span named so."""
    return (
        f"uuid_hash_extended({row}.project_id, hashtextextended({row}.trace_id,"
        f" hashtextextended({row}.span_id, 0)))"
    )


# Parameters: project, trace ids, step ids.
IS_ONE_OF = (
    f"{step_key('s')} = ANY(ARRAY(SELECT uuid_hash_extended(%s::uuid, hashtextextended(w.t, hashtextextended(w.i, 0)))"  # noqa: S608
    " FROM unnest(%s::text[], %s::text[]) AS w(t, i)))"
)


class IsStep(Func):
    """For filters of Span: whether it is one of these steps of the trace."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, trace: Trace, span_ids: Iterable[str], **extra: Any) -> None:
        self.trace, self.span_ids = trace, list(span_ids)
        super().__init__(F("project"), F("trace_id"), F("span_id"), **extra)

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        project, trace, span = (compiler.compile(one)[0] for one in self.source_expressions)
        return (
            f"uuid_hash_extended({project}, hashtextextended({trace}, hashtextextended({span}, 0))) = ANY(ARRAY("  # noqa: S608
            "SELECT uuid_hash_extended(%s::uuid, hashtextextended(%s, hashtextextended(w.i, 0)))"
            " FROM unnest(%s::text[]) AS w(i)))",
            [self.trace.project_id, self.trace.trace_id, self.span_ids],
        )
