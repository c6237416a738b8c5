"""`compact`: a request with fewer tokens, by a project's or a route's rule (pure).

The order matters: what is old goes first, then white space, then what is said twice in what is left. Doing it again
changes nothing. What the model said, tool calls, images and files are never touched; system prompts and users' messages
only where they are plain prose (gateway.compaction.prose).
"""

from collections import Counter
from typing import Any

import msgspec

from gateway.compaction import turns
from gateway.compaction.prose import Part, Region, joined, parts_of, without_blanks
from gateway.compaction.turns import Item
from gateway.dialects.collected import SHAPE_ERRORS
from gateway.dialects.tokens import tokens_in, tokens_in_bytes
from gateway.structs import CompactRule, Dialect

LEAST_REPEATED = 200
LEAST_RESULT = 200
_NOTE = (
    "[A tool's result of about %d tokens was left out here. Call the tool again if it is needed.]"
)
_NOTE_BEGINS = "[A tool's result of about "
_REFERENCE = "[The same paragraph as above was left out here; it begins: %s …]"
_BEGINNING = 60

_encode = msgspec.json.encode


def compact(
    rule: CompactRule, dialect: Dialect, document: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, int]]:
    """The document, changed where the rule says (a copy then), and the tokens saved, estimated, by what saved them.

    Requests that are no conversation, and those of a shape nobody foresaw, stay as they are.
    """
    try:
        if rule == _NONE or not turns.items_of(dialect, document):
            return document, {}
        work = _Compaction(dialect, document)
        if rule.tool_results_after is not None:
            work.cut_results(rule.tool_results_after)
        if rule.whitespace:
            work.cut_blanks()
        if rule.history_tokens is not None:
            work.cut_history(rule.history_tokens)
        if rule.repeats:
            work.cut_repeats()
    except SHAPE_ERRORS:
        return document, {}
    return work.document, {name: tokens for name, tokens in work.saved.items() if tokens > 0}


_NONE = CompactRule()


class _Compaction:
    """One request under way."""

    def __init__(self, dialect: Dialect, document: Item) -> None:
        self.document = document
        self.saved: Counter[str] = Counter()
        self._field = turns.FIELDS[dialect]
        self._system = turns.SYSTEM.get(dialect, "")
        self._items = list(document[self._field])

    def cut_results(self, after: int) -> None:
        """Tool results after which the model has spoken more than `after` times become a note."""
        for place, steps in enumerate(turns.steps_after(self._items)):
            if steps > after:
                self._items[place] = turns.change_results(self._items[place], self._note)
        self._keep()

    def _note(self, content: Any) -> Any:
        size = tokens_in(content) if type(content) is str else tokens_in_bytes(_encode(content))
        if type(content) is str and (
            len(content) < LEAST_RESULT or content.startswith(_NOTE_BEGINS)
        ):
            return content
        note = _NOTE % size
        if type(content) not in (str, list) or size <= tokens_in(note):
            return content
        self.saved["tool_results"] += size - tokens_in(note)
        return note

    def cut_blanks(self) -> None:
        """White space that says nothing."""

        def change(texts: list[str]) -> list[str]:
            if not any(_has_runs(text) for text in texts):
                return texts
            region = Region()
            made = [joined(without_blanks(parts_of(text, region))) for text in texts]
            self._count("whitespace", texts, made)
            return made

        if self._system and self.document.get(self._system):
            self.document = turns.change_texts(self.document, self._system, change)
        for place, item in enumerate(self._items):
            if turns.role_of(item) in ("system", "user"):
                self._items[place] = turns.change_texts(item, "content", change)
        self._keep()

    def cut_history(self, budget: int) -> None:
        """The oldest exchanges go until the rest has at most `budget` tokens; system messages and the last stay."""
        places = turns.cuts(self._items)
        if self._system == "system":
            # Anthropic takes instructions between messages, but not before the first.
            spoken = [turns.role_of(item) for item in self._items]
            places = [one for one in places if "system" not in spoken[:one]]
        sizes = [
            0 if turns.role_of(item) == "system" else turns.tokens_of(item) for item in self._items
        ]
        total = sum(sizes)
        if total <= budget or not places:
            return
        cut = next((one for one in places if sum(sizes[one:]) <= budget), places[-1])
        self.saved["history"] += sum(sizes[:cut])
        self._items = [
            item
            for place, item in enumerate(self._items)
            if place >= cut or turns.role_of(item) == "system"
        ]
        self._keep()

    def cut_repeats(self) -> None:
        """A paragraph that was said before becomes a reference to it; the last user's message stays whole."""
        seen: set[str] = set()

        def change(texts: list[str]) -> list[str]:
            region = Region()
            made = [
                joined([self._referred(part, seen) for part in parts_of(text, region)])
                for text in texts
            ]
            self._count("repeats", texts, made)
            return made

        if self._system and self.document.get(self._system):
            self.document = turns.change_texts(self.document, self._system, change)
        speakers = [turns.role_of(item) for item in self._items]
        last = max((place for place, role in enumerate(speakers) if role == "user"), default=0)
        for place, role in enumerate(speakers):
            if role in ("system", "user") and place < last:
                self._items[place] = turns.change_texts(self._items[place], "content", change)
        self._keep()

    def _referred(self, part: Part, seen: set[str]) -> Part:
        if not part.is_prose or len(part.text) < LEAST_REPEATED:
            return part
        if part.text not in seen:
            seen.add(part.text)
            return part
        beginning = part.text[:_BEGINNING].rsplit(maxsplit=1)[0].replace("\n", " ")
        return Part(_REFERENCE % beginning, part.gap, False)

    def _count(self, name: str, before: list[str], after: list[str]) -> None:
        for one, other in zip(before, after, strict=True):
            if one is not other:
                self.saved[name] += tokens_in(one) - tokens_in(other)

    def _keep(self) -> None:
        before = self.document[self._field]
        if len(before) != len(self._items) or any(
            one is not other for one, other in zip(before, self._items, strict=True)
        ):
            self.document = {**self.document, self._field: self._items}
            self._items = list(self._items)


def _has_runs(text: str) -> bool:
    return "  " in text or " \n" in text or "\n\n\n" in text or text.endswith(" ")
