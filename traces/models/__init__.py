"""Traces and what people and the system add to them. One file per concern; import from here."""

from traces.models.feedback import Score, ScoreSource, ScoreType
from traces.models.intake import IngestTally, Outcome
from traces.models.lists import SavedView
from traces.models.trace import Span, SpanKind, SpanPayload, SpanStatus, Trace

__all__ = [
    "IngestTally",
    "Outcome",
    "SavedView",
    "Score",
    "ScoreSource",
    "ScoreType",
    "Span",
    "SpanKind",
    "SpanPayload",
    "SpanStatus",
    "Trace",
]
