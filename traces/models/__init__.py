"""Traces and what people and the system add to them. One file per concern; import from here."""

from traces.models.collections import Collection, CollectionItem
from traces.models.errors import ErrorGroup, ErrorStatus, ErrorTrace
from traces.models.feedback import (
    Comment,
    CommentMention,
    Score,
    ScoreDefinition,
    ScoreSource,
    ScoreType,
)
from traces.models.intake import IngestSample, IngestTally, LangfuseItem, Outcome
from traces.models.lists import SavedView
from traces.models.search import (
    SearchDocument,
    SearchState,
    SessionRow,
    TraceEmbedding,
    UserRow,
)
from traces.models.sharing import ShareLink
from traces.models.trace import Span, SpanKind, SpanPayload, SpanStatus, Trace
from traces.models.waste import WasteDay, WasteFinding, WasteKind

__all__ = [
    "Collection",
    "CollectionItem",
    "Comment",
    "CommentMention",
    "ErrorGroup",
    "ErrorStatus",
    "ErrorTrace",
    "IngestSample",
    "IngestTally",
    "LangfuseItem",
    "Outcome",
    "SavedView",
    "Score",
    "ScoreDefinition",
    "ScoreSource",
    "ScoreType",
    "SearchDocument",
    "SearchState",
    "SessionRow",
    "ShareLink",
    "Span",
    "SpanKind",
    "SpanPayload",
    "SpanStatus",
    "Trace",
    "TraceEmbedding",
    "UserRow",
    "WasteDay",
    "WasteFinding",
    "WasteKind",
]
