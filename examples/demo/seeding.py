"""Sends the month of history in batches, several at a time, and remembers how far it came."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from examples.demo.calendar import month_before
from examples.demo.judgements import scores_of
from examples.demo.sender import Sender
from examples.demo.story import Story

BATCH = 50
AT_ONCE = 3
# These agents are instrumented with OpenTelemetry; the others use LLMLab's own JSON.
OTLP_AGENTS = {"refund-agent", "nightly-digest"}


@dataclass(frozen=True)
class Batch:
    """Some stories of one day for one door."""

    name: str
    is_otlp: bool
    stories: list[Story]


class Progress:
    """Which batches are stored, in a file: an interrupted seeding goes on where it stopped."""

    def __init__(self, path: Path, history: str) -> None:
        self.path, self.history = path, history
        self.done: set[str] = set()
        self.is_complete = self.is_furnished = False
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            if saved["history"] == history:
                self.done, self.is_complete = set(saved["done"]), saved["is_complete"]
                # A month that an older version sent lacks the runs that views and comments are about.
                self.is_furnished = saved.get("is_furnished", True)
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no file, or one that another version wrote: sending again changes nothing

    def save(self) -> None:
        """Writes the file as a whole."""
        beside = self.path.with_suffix(".new")
        saved = {
            "history": self.history,
            "done": sorted(self.done),
            "is_complete": self.is_complete,
            "is_furnished": self.is_furnished,
        }
        beside.write_text(json.dumps(saved), encoding="utf-8")
        beside.replace(self.path)


def send_history(
    sender: Sender,
    *,
    anchor: dt.datetime,
    traces: int,
    progress: Progress,
    tell: Callable[[int], None] = lambda sent: None,
) -> int:
    """Sends what `progress` does not know as stored; returns the number of traces sent now.

    Raises RefusedError when LLMLab lastingly refuses a batch; what was stored stays remembered.
    """
    if progress.is_complete:
        return 0
    sent, running = 0, dict[Future[None], Batch]()
    waiting = (batch for batch in _batches(anchor, traces) if batch.name not in progress.done)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            while len(running) < AT_ONCE and (batch := next(waiting, None)):
                running[pool.submit(_send, sender, batch)] = batch
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                batch = running.pop(future)
                progress.done.add(batch.name)
                sent += len(batch.stories)
                progress.save()
                tell(sent)
    progress.is_complete = True
    progress.save()
    return sent


def _send(sender: Sender, batch: Batch) -> None:
    send = sender.send_otlp if batch.is_otlp else sender.send_json
    send(batch.stories)
    if scores := [score for story in batch.stories for score in scores_of(story)]:
        sender.send_scores(scores)


def _batches(anchor: dt.datetime, traces: int) -> Iterator[Batch]:
    for day in month_before(anchor, traces=traces):
        if not day:
            continue
        date = day[0].started_at.date()
        for is_otlp in (False, True):
            chosen = [s for s in day if (s.facts["agent_name"] in OTLP_AGENTS) == is_otlp]
            for start in range(0, len(chosen), BATCH):
                name = f"{date}-{'otlp' if is_otlp else 'json'}-{start}"
                yield Batch(name, is_otlp, chosen[start : start + BATCH])
