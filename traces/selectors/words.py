"""Free text of the trace list: the search index for what it has read, the traces themselves for what came since.

Until a project's traces have been read for search (no worker yet), names, ids, users, models and tags are looked
through directly, so that text is found from the first trace on.
"""

import datetime as dt
from collections.abc import Callable, Sequence

from django.db.models import Q

from core.ranges import TimeRange
from projects.models import Project
from traces.filters.conditions import text_match
from traces.models import SearchState, Trace
from traces.query_terms import Node, Text, has_text
from traces.search import fulltext

# What may be committed after it was passed by: a slow transaction.
LATE = dt.timedelta(seconds=30)
MAX_FRESH = 500
# While search is far behind (the page says so), only so many of the newest unread traces are looked through.
FRESH_READ = 2_000


def text_condition(project: Project, period: TimeRange) -> Callable[[Text], Q]:
    """What a text of the query means for the traces of `project` in `period`.

    One query when it is first used, and for each text one, or two when traces came since the index was read.
    """
    known: dict[Text, Q] = {}
    state: list[dt.datetime | None] = []

    def read(node: Text) -> Q:
        if node not in known:
            if not state:
                state.append(_read_until(project))
            known[node] = _condition(project, period, node, state[0])
        return known[node]

    return read


def _read_until(project: Project) -> dt.datetime | None:
    found = SearchState.objects.filter(project=project)
    return found.values_list("read_until", flat=True).first()


def _condition(project: Project, period: TimeRange, node: Text, since: dt.datetime | None) -> Q:
    direct = text_match(node.text, is_phrase=node.is_phrase)
    if since is None:
        return direct
    indexed = fulltext.condition(project, _asked(node), period=period)
    # Named one by one: "in the index or newer" would have PostgreSQL look at every trace.
    newest = Trace.objects.filter(project=project, created_at__gt=since - LATE)
    ids = list(newest.order_by("-created_at").values_list("trace_id", flat=True)[:FRESH_READ])
    if ids:
        fresh = Trace.objects.filter(project=project, trace_id__in=ids).filter(direct)
        ids = list(fresh.values_list("trace_id", flat=True)[:MAX_FRESH])
    return indexed | Q(trace_id__in=ids) if ids else indexed


def _asked(node: Text) -> str:
    """A text of the query as the search's own language has it."""
    return '"{}"'.format(node.text.replace('"', " ")) if node.is_phrase else node.text


def is_broad(project: Project, nodes: Sequence[Node], *, limit: int) -> bool:
    """Whether text is asked for that more than about `limit` traces have: where words stand is not in an index that
    could be counted, so figures are then taken from a sample. One EXPLAIN per text, no query without text."""
    texts = [node for node in nodes if isinstance(node, Text)]
    if not texts:
        return any(map(has_text, nodes))
    return all(fulltext.estimate(project, _asked(node)) > limit for node in texts)
