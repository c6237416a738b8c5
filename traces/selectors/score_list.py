"""The score list: keyset pages, and per name how many, how good, how spread and how it moved."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Avg, Count, FloatField, Func, Max, Min, Q, QuerySet, Value
from django.db.models.functions import Trunc

from core.cursors import decode_place, encode_place
from projects.models import Project
from traces.models import Score, ScoreType
from traces.score_filters import ScoreFilters

PAGE_SIZE = 50
MAX_NAMES = 24
BUCKETS = 10
MAX_CATEGORIES = 12


@dataclass(frozen=True)
class ScorePage:
    """One page in the reader's order; `after` is the cursor of the next one, or empty."""

    rows: list[Score]
    after: str


@dataclass(frozen=True)
class Bar:
    """One part of a distribution."""

    label: str
    count: int
    low: float | None = None
    high: float | None = None


@dataclass
class NameSummary:
    """All scores of one name and type in the range. `mean` of yes-or-no ones is the share of yes."""

    name: str
    data_type: str
    count: int
    mean: float | None
    low: float | None
    high: float | None
    counts: list[int] = field(default_factory=list)
    means: list[float | None] = field(default_factory=list)
    top: str = ""
    top_count: int = 0

    @property
    def top_share(self) -> float:
        return self.top_count / self.count if self.count else 0.0


def matching_scores(project: Project, filters: ScoreFilters) -> QuerySet[Score]:
    """Scores of the project that match, in no order."""
    return Score.objects.filter(filters.where(), project=project)


def score_page(
    project: Project, filters: ScoreFilters, *, after: str = "", limit: int = PAGE_SIZE
) -> ScorePage:
    """A page after a cursor, or the first one, with who gave each score. One query. Raises InvalidCursorError."""
    found = matching_scores(project, filters).select_related("author")
    sign = "-" if filters.is_descending else ""
    if after:
        found = found.filter(_beyond(after, filters))
    found = found.order_by(f"{sign}{filters.sort_field}", f"{sign}score_id")
    rows = list(found[: limit + 1])
    more = len(rows) > limit
    rows = rows[:limit]
    return ScorePage(rows, _cursor(rows[-1], filters) if more else "")


def _cursor(score: Score, filters: ScoreFilters) -> str:
    return encode_place(filters.sort, getattr(score, filters.sort_field), score.score_id)


def _beyond(token: str, filters: ScoreFilters) -> Q:
    kind = float if filters.sort_field == "value" else dt.datetime
    key, score_id = decode_place(token, sort=filters.sort, kind=kind, field="cursor")
    way, name = ("lt" if filters.is_descending else "gt"), filters.sort_field
    past = Q(**{f"{name}__{way}": key}) | Q(**{name: key, f"score_id__{way}": score_id})
    return Q(**{f"{name}__{way}e": key}) & past


def name_summaries(project: Project, filters: ScoreFilters) -> list[NameSummary]:
    """Per name and type: how many, the mean, the commonest category, and both per bin of the range. Three queries.

    The names with most scores come first, at most 24.
    """
    found = matching_scores(project, filters)
    keys = ("name", "data_type")
    rows = (
        found.values_list(*keys)
        .annotate(n=Count("score_id"), mean=Avg("value"), low=Min("value"), high=Max("value"))
        .order_by("-n", *keys)[:MAX_NAMES]
    )
    bins = filters.range.bins()
    summaries = {
        (name, data_type): NameSummary(
            name, data_type, n, mean, low, high, [0] * len(bins), [None] * len(bins)
        )
        for name, data_type, n, mean, low, high in rows
    }
    _add_trend(found, summaries, filters, bins)
    _add_top(found, summaries)
    return list(summaries.values())


def _add_trend(
    found: QuerySet[Score],
    summaries: dict[tuple[str, str], NameSummary],
    filters: ScoreFilters,
    bins: Sequence[dt.datetime],
) -> None:
    at = {start: index for index, start in enumerate(bins)}
    rows = (
        found.annotate(bin=Trunc("scored_at", filters.range.bin, tzinfo=dt.UTC))
        .values_list("name", "data_type", "bin")
        .annotate(n=Count("score_id"), mean=Avg("value"))
        .order_by()
    )
    for name, data_type, start, n, mean in rows:
        summary = summaries.get((name, data_type))
        if summary is not None and start in at:
            summary.counts[at[start]] = n
            summary.means[at[start]] = mean


def _add_top(found: QuerySet[Score], summaries: dict[tuple[str, str], NameSummary]) -> None:
    rows = (
        found.filter(data_type=ScoreType.CATEGORICAL)
        .values_list("name", "text")
        .annotate(n=Count("score_id"))
        .order_by("name", "-n", "text")
    )
    for name, text, n in rows:
        summary = summaries.get((name, ScoreType.CATEGORICAL))
        if summary is not None and not summary.top:
            summary.top, summary.top_count = text, n


def distribution(project: Project, filters: ScoreFilters, summary: NameSummary) -> list[Bar]:
    """How the scores of one name spread: ten equal parts, yes and no, or the commonest categories. One query."""
    found = matching_scores(project, filters).filter(name=summary.name, data_type=summary.data_type)
    if summary.data_type == ScoreType.CATEGORICAL:
        rows = found.values_list("text").annotate(n=Count("score_id")).order_by("-n", "text")
        bars = [Bar(text, n) for text, n in rows[:MAX_CATEGORIES]]
        rest = summary.count - sum(bar.count for bar in bars)
        return [*bars, Bar("Others", rest)] if rest > 0 else bars
    if summary.data_type == ScoreType.BOOLEAN:
        yes = found.filter(value=1.0).count()
        return [Bar("Yes", yes, 1.0, 1.0), Bar("No", summary.count - yes, 0.0, 0.0)]
    return _histogram(found, summary)


def _histogram(found: QuerySet[Score], summary: NameSummary) -> list[Bar]:
    low, high = summary.low, summary.high
    if low is None or high is None:
        return []
    if low == high:
        return [Bar(f"{low:g}", summary.count, low, high)]
    if low >= 0 and high <= 1:  # the usual scale keeps its ends, so that two weeks compare
        low, high = 0.0, 1.0
    width = (high - low) / BUCKETS
    bucket = Func(
        "value",
        Value(low),
        Value(high),
        Value(BUCKETS),
        function="width_bucket",
        output_field=FloatField(),
    )
    counts = dict(
        found.annotate(bucket=bucket).values_list("bucket").annotate(n=Count("score_id")).order_by()
    )
    # The largest value itself falls behind the last part.
    counts[BUCKETS] = counts.get(BUCKETS, 0) + counts.pop(BUCKETS + 1, 0)
    return [
        Bar(
            f"{low + index * width:g} to {low + (index + 1) * width:g}",
            counts.get(index + 1, 0),
            low + index * width,
            low + (index + 1) * width,
        )
        for index in range(BUCKETS)
    ]
