"""What the query bar offers at the caret: keys, then values with their counts under the rest of the query."""

import datetime as dt
import re
from dataclasses import dataclass

from django.db.models import Count
from django.http import QueryDict

from costs.models import CostAggregate
from projects.models import Project
from traces.filters import TraceFilters, parse_filters
from traces.models import Score, Trace
from traces.query_terms import ALIASES, KEYS, NAMED, Exact, Key, print_value
from traces.selectors.facets import value_counts

AT_MOST = 12
METADATA_ROWS = 300
EXAMPLES = {
    "money": (">0.05", ">1", "0.01..0.1"),
    "duration": (">2s", ">30s", "<300ms"),
    "count": (">1k", ">10k", ">100"),
    "time": (">-1h", ">-24h", "2026-11-01..2026-11-08"),
}
_TOKEN = re.compile(r'-?(?:[A-Za-z_][\w.]*:)?(?:"(?:[^"\\]|\\.)*"?|[^\s()"])*$')


@dataclass(frozen=True)
class Suggestion:
    """One offer: what it says, how often it occurs (None: not counted), and the bar's text when it is taken."""

    label: str
    note: str
    count: int | None
    text: str
    caret: int


def suggestions(
    project: Project, params: QueryDict, text: str, caret: int, *, now: dt.datetime
) -> list[Suggestion]:
    """Offers for the part of `text` that ends at `caret`; at most two queries. Never raises for what was typed."""
    found = _TOKEN.search(text[:caret])
    start = found.start() if found else caret
    token = text[start:caret]
    sign = "-" if token.startswith("-") else ""
    word = token[len(sign) :]
    name, colon, value = word.partition(":")
    before, after = text[:start], text[caret:].lstrip()

    def offer(
        label: str, insert: str, note: str = "", count: int | None = None, *, is_open: bool = False
    ) -> Suggestion:
        head = f"{before}{sign}{insert}{'' if is_open else ' '}"
        return Suggestion(label, note, count, head + after, len(head))

    if not colon:
        return _key_offers(project, word.lower(), offer)
    given, _, inner = name.partition(".")
    key = KEYS.get(ALIASES.get(given.lower(), given.lower()))
    if key is None or (key.name in NAMED) != bool(inner):
        return []
    rest = params.copy()
    rest["q"] = f"{before} {after}"
    filters = parse_filters(rest, now=now)
    typed = value.strip('"').lower()
    return [
        offer(label, f"{name}:{written}", note, count)
        for label, written, note, count in _values(project, filters, key, inner, typed)
    ][:AT_MOST]


def _key_offers(project: Project, typed: str, offer) -> list[Suggestion]:  # type: ignore[no-untyped-def]
    found = [
        offer(
            f"{key.name}{'.' if key.name in NAMED else ':'}",
            f"{key.name}{'.' if key.name in NAMED else ':'}",
            key.help,
            is_open=True,
        )
        for key in KEYS.values()
        if key.name.startswith(typed.partition(".")[0]) and not (key.name in NAMED and "." in typed)
    ]
    group, dot, part = typed.partition(".")
    if dot and group in NAMED:
        names = _score_names(project) if group == "score" else _metadata_keys(project)
        found += [
            offer(f"{group}.{name}:", f"{group}.{name}:", "", n, is_open=True)
            for name, n in names
            if part in name.lower()
        ]
    return found[: AT_MOST if typed else len(KEYS)]


def _values(
    project: Project, filters: TraceFilters, key: Key, inner: str, typed: str
) -> list[tuple[str, str, str, int | None]]:
    if key.kind in EXAMPLES:
        return [(one, one, key.help, None) for one in EXAMPLES[key.kind] if one.startswith(typed)]
    if key.name == "score":
        return [
            (one, one, "", None) for one in (">0.5", "<0.5", "=1", "=0") if one.startswith(typed)
        ]
    if key.name == "status":
        counted = dict(value_counts(project, filters, "status"))
        return [(one, one, "", counted.get(one, 0)) for one in key.choices if one.startswith(typed)]
    if key.kind == "choice":
        return [(one, one, "", None) for one in key.choices if one.startswith(typed)]
    if key.name == "feature":
        found = _features(project, filters)
    elif key.name in ("metadata", "id"):
        found = []
    else:
        found = value_counts(project, filters, key.name, containing=typed, limit=AT_MOST)
    return [
        (value, print_value(key, Exact(value)), "", n)
        for value, n in found
        if typed in value.lower()
    ]


def _features(project: Project, filters: TraceFilters) -> list[tuple[str, int]]:
    """Features by calls, from the hourly sums. One query."""
    rows = CostAggregate.objects.filter(
        project=project, dimension="feature", hour__gte=filters.range.start - dt.timedelta(hours=1),
        hour__lt=filters.range.end,
    ).exclude(value="")  # fmt: skip
    from django.db.models import Sum

    counted = rows.values("value").annotate(n=Sum("calls")).order_by("-n", "value")
    return list(counted.values_list("value", "n")[:50])


def _score_names(project: Project) -> list[tuple[str, int]]:
    """Score names by how often they were given, of the newest scores. One query."""
    newest = Score.objects.filter(project=project).order_by("-scored_at").values("score_id")[:5_000]
    counted = (
        Score.objects.filter(project=project, score_id__in=newest)
        .values("name")
        .annotate(n=Count("score_id"))
        .order_by("-n", "name")
    )
    return list(counted.values_list("name", "n")[:50])


def _metadata_keys(project: Project) -> list[tuple[str, int]]:
    """Metadata keys of the newest traces. One query."""
    counts: dict[str, int] = {}
    newest = Trace.objects.filter(project=project).order_by("-started_at")
    for kept in newest.values_list("metadata", flat=True)[:METADATA_ROWS]:
        for name in kept if isinstance(kept, dict) else ():
            if re.fullmatch(r'[^\s:()"*\\]{1,100}', name):
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:50]
