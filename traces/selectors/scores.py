"""Reads of scores: what the trace list shows and filters by, what a trace or a step was given."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Avg, Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from core.errors import DomainError
from core.formats import percent
from projects.models import Project
from traces.models import Score, ScoreType

OPERATORS = (">", ">=", "<", "<=", "=")
_LOOKUPS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact"}
YES = frozenset({"true", "yes", "up", "1"})
NO = frozenset({"false", "no", "down", "0"})


@dataclass(frozen=True)
class ScoreFact:
    """All scores of one name on one trace and its steps: a mean, or the commonest category."""

    name: str
    data_type: str
    count: int
    value: float | None
    text: str

    @property
    def shown(self) -> str:
        """The mean, the share of yes or the commonest category, in words."""
        if self.data_type == ScoreType.CATEGORICAL:
            return self.text
        if self.value is None:
            return "—"
        return percent(self.value) if self.data_type == ScoreType.BOOLEAN else f"{self.value:.4g}"


def score_facts(project: Project, trace_ids: Sequence[str]) -> dict[str, list[ScoreFact]]:
    """What each of these traces was scored, by name; traces without scores are absent. One query."""
    rows = (
        Score.objects.filter(project=project, trace_id__in=list(trace_ids))
        .exclude(trace_id="")
        .values_list("trace_id", "name", "data_type", "text")
        .annotate(n=Count("score_id"), mean=Avg("value"))
        .order_by("trace_id", "name", "data_type", "-n", "text")
    )
    found: dict[str, list[ScoreFact]] = {}
    for trace_id, name, data_type, text, n, mean in rows:
        _add(found.setdefault(trace_id, []), ScoreFact(name, data_type, n, mean, text))
    return found


def facts_of(scores: Sequence[Score]) -> list[ScoreFact]:
    """The same of rows already read, by name. No query."""
    texts = Counter((score.name, score.data_type, score.text) for score in scores)
    values: dict[tuple[str, str, str], list[float]] = {}
    for score in scores:
        if score.value is not None:
            values.setdefault((score.name, score.data_type, score.text), []).append(score.value)
    facts: list[ScoreFact] = []
    for key, n in sorted(texts.items(), key=lambda one: (one[0][:2], -one[1], one[0][2])):
        numbers = values.get(key)
        mean = sum(numbers) / len(numbers) if numbers else None
        _add(facts, ScoreFact(key[0], key[1], n, mean, key[2]))
    return facts


def _add(facts: list[ScoreFact], fact: ScoreFact) -> None:
    """Categories of one name are one fact: the commonest, which comes first, with the count of all."""
    if facts and (facts[-1].name, facts[-1].data_type) == (fact.name, fact.data_type):
        facts[-1] = replace(facts[-1], count=facts[-1].count + fact.count)
    else:
        facts.append(fact)


def has_score() -> Q:
    """Traces that were scored at all, themselves or one of their steps."""
    return Q(Exists(_of_outer_trace()))


def score_condition(name: str, op: str = "", value: str = "") -> Q:
    """Traces with a score `name` that compares: `score_condition("helpful", ">=", "0.5")`, `("tone", "=", "rude")`.

    Without `op` any value will do. Numbers compare with numeric scores; "true"/"false" (yes/no, up/down) with
    yes-or-no ones; other texts with categories, letter case aside, a final "*" standing for any rest. Raises
    DomainError when there is no such comparison.
    """
    scores = _of_outer_trace().filter(name=name)
    if not op:
        return Q(Exists(scores))
    if op not in OPERATORS:
        raise DomainError(f"{op!r} must be one of {' '.join(OPERATORS)}.", fields=[f"score.{name}"])
    return Q(Exists(scores.filter(_compares(name, op, value.strip()))))


def _of_outer_trace() -> QuerySet[Score]:
    return Score.objects.filter(project=OuterRef("project"), trace_id=OuterRef("trace_id"))


def _compares(name: str, op: str, value: str) -> Q:
    lowered = value.lower()
    number = _number(value)
    if number is not None:
        return Q(value__isnull=False) & Q(**{f"value__{_LOOKUPS[op]}": number})
    if op != "=":
        raise DomainError(
            f"score.{name}:{op}{value[:40]} must compare with a number, like score.{name}:{op}0.5.",
            fields=[f"score.{name}"],
        )
    if lowered in YES | NO:
        is_boolean = Q(data_type=ScoreType.BOOLEAN, value=1.0 if lowered in YES else 0.0)
        return is_boolean | Q(data_type=ScoreType.CATEGORICAL, text__iexact=value)
    if lowered.endswith("*"):
        return Q(data_type=ScoreType.CATEGORICAL, text__istartswith=value[:-1])
    return Q(data_type=ScoreType.CATEGORICAL, text__iexact=value)


def _number(text: str) -> float | None:
    if len(text) > 40 or not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None


def score_names(project: Project, *, starting: str = "", limit: int = 50) -> list[str]:
    """Names in use, for facets and suggestions, in alphabetical order. One query."""
    found = Score.objects.filter(project=project)
    if starting:
        found = found.filter(name__istartswith=starting.replace("\x00", "")[:100])
    names = found.values_list("name", flat=True).distinct().order_by("name")
    return sorted(names[:limit], key=lambda name: (name.lower(), name))


def scores_of_trace(project: Project, trace_id: str) -> QuerySet[Score]:
    """Every score of the trace and its steps, by name, newest first, with who gave it. One query."""
    return (
        Score.objects.filter(project=project, trace_id=trace_id)
        .select_related("author")
        .order_by(Lower("name"), "-scored_at", "score_id")
    )
