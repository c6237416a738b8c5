"""What goes into the writer beside the spans, and what comes out."""

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

import msgspec

from core.crypto import Cipher
from traces.ingest.capture import Capture
from traces.ingest.rows import SpanKey
from traces.ingest.span import Rejection
from traces.ingest.tally import LANGFUSE


class IngestContext(msgspec.Struct, frozen=True):
    """Whose batch it is: the project, its organisation's cipher, the key that sent it, the door it came through
    (none: nothing is tallied), and what of the content may be stored."""

    project_id: UUID
    cipher: Cipher
    api_key_id: str = ""
    door: str = ""
    capture: Capture = Capture()

    @property
    def shares_rows(self) -> bool:
        """Whether ended steps may share a row. Langfuse's events amend them: each would be packed again."""
        return self.door != LANGFUSE

    @property
    def sealing(self) -> Cipher | None:
        """What seals texts in this project, None where they are stored plain."""
        return self.capture.cipher(self.cipher)


class Written(msgspec.Struct, kw_only=True):
    """What became of each span. `stored` and `updated` are committed; `duplicates` changed nothing."""

    stored: list[SpanKey] = []
    updated: list[SpanKey] = []
    duplicates: list[SpanKey] = []
    rejections: list[Rejection] = []
    # What the calls charged by this batch cost; None where we do not know.
    costs: Mapping[SpanKey, Decimal | None] = {}

    def __iadd__(self, other: "Written") -> "Written":
        self.stored += other.stored
        self.updated += other.updated
        self.duplicates += other.duplicates
        self.rejections += other.rejections
        self.costs = {**self.costs, **other.costs}
        return self
