"""Two traces side by side."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core import formats
from projects.access import project_for
from projects.models import Project
from traces.models import Trace
from traces.selectors import compare
from traces.views import detail

FEW_CALLS = 20


@login_required
@never_cache
@require_GET
def trace_compare(request: HttpRequest, slug: str) -> HttpResponse:
    """`P/traces/compare/?a=&b=` : facts, steps and texts; without both it asks for them."""
    project = project_for(request, slug)
    given = [request.GET.get(name, "")[:128] for name in ("a", "b")]
    if not any(given) and not request.GET and _is_named_compare(project):
        return detail.trace_detail(request, slug, "compare")
    now = timezone.now()
    sides = [compare.side_of(project, one, now=now) if one else None for one in given]
    context: dict[str, Any] = {
        "project": project,
        "a": given[0],
        "b": given[1],
        "missing": [one for one, side in zip(given, sides, strict=True) if one and side is None],
        "list_href": reverse("traces:trace_list", kwargs={"slug": project.ref}),
    }
    first, second = sides
    if first is not None and second is not None:
        context |= _both(project, first, second)
    return render(request, "traces/compare.html", context)


def _is_named_compare(project: Project) -> bool:
    """A program may have called a trace "compare"; its page stays reachable."""
    return Trace.objects.filter(project=project, trace_id="compare").exists()


def _both(project: Project, a: compare.Side, b: compare.Side) -> dict[str, Any]:
    return {
        "sides": [
            {
                "side": side,
                "trace": side.trace,
                "letter": letter,
                "href": reverse(
                    "traces:trace_detail",
                    kwargs={"slug": project.ref, "trace_id": side.trace.trace_id},
                ),
            }
            for letter, side in (("A", a), ("B", b))
        ],
        "facts": _facts(a, b),
        "pairs": compare.step_pairs(a.rows, b.rows),
        "is_cut": a.step_count > compare.MAX_STEPS or b.step_count > compare.MAX_STEPS,
        "max_steps": compare.MAX_STEPS,
        "texts": [
            {
                "name": name,
                "lines": compare.text_lines(one, two),
                "both": one,
                "is_empty": not (one or two),
            }
            for name, one, two in (("Input", a.input, b.input), ("Output", a.output, b.output))
        ],
        "problem": a.problem or b.problem,
    }


def _facts(a: compare.Side, b: compare.Side) -> list[dict[str, Any]]:
    """Rows of the table of facts; `worse` colours a difference (more cost or time is worse)."""
    one, two = a.trace, b.trace
    found = [
        _figure("Cost", one.known_cost_usd, two.known_cost_usd, formats.money, unknown="Unpriced"),
        _figure("Duration", one.duration_ms, two.duration_ms, formats.duration, unknown="running"),
        _figure("Input tokens", one.input_tokens, two.input_tokens, formats.tokens),
        _figure("Output tokens", one.output_tokens, two.output_tokens, formats.tokens),
        _figure("Steps", a.step_count, b.step_count, formats.count),
        _figure("Model calls", one.call_count, two.call_count, formats.count),
        _figure("Errors", one.error_count, two.error_count, formats.count),
    ]
    for name, left, right in (
        ("Status", one.status, two.status),
        ("Models", ", ".join(one.model_names), ", ".join(two.model_names)),
        ("Environment", one.environment, two.environment),
        ("Release", one.release, two.release),
        ("Agent", one.agent, two.agent),
        ("User", one.user_id, two.user_id),
        ("Tags", ", ".join(one.tags), ", ".join(two.tags)),
    ):
        if left or right:
            found.append(
                {
                    "name": name,
                    "a": left or formats.DASH,
                    "b": right or formats.DASH,
                    "delta": "" if left == right else "differs",
                    "tone": "",
                }
            )
    return found


def _figure(name: str, a: Any, b: Any, show: Any, *, unknown: str = formats.DASH) -> dict[str, Any]:
    found = {
        "name": name,
        "a": unknown if a is None else show(a),
        "b": unknown if b is None else show(b),
        "delta": "",
        "tone": "",
    }
    if a is None or b is None or a == b:
        return found
    more = b - a
    sign = "+" if more > 0 else formats.MINUS
    share = f" ({sign}{formats.percent(abs(float(more)) / float(a))})" if a else ""
    found["delta"] = f"{sign}{show(abs(more))}{share}"
    found["tone"] = "worse" if more > 0 else "better"
    return found
