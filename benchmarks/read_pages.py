"""What benchmarks/read.py asks for: every list, panel and detail page over 30 days, and the API's lists."""

import datetime as dt

DAYS = "range=30d"
PAGES = {
    "dashboard": f"dashboard/?{DAYS}",
    "dashboard by user": f"dashboard/?{DAYS}&group=user&mix=user&who=user",
    "dashboard by tag": f"dashboard/?{DAYS}&group=tag&mix=tag&who=tag",
    "dashboard by feature": f"dashboard/?{DAYS}&group=feature&mix=feature&who=feature",
    "dashboard of a model": f"dashboard/?{DAYS}&model=gpt-4o-2024-08-06",
    "dashboard of a model by user": f"dashboard/?{DAYS}&model=gpt-4o-2024-08-06&group=user&mix=user&who=user",
    "dashboard of an environment by tag": f"dashboard/?{DAYS}&environment=production&group=tag&mix=tag&who=tag",
    "dashboard of an agent by feature": f"dashboard/?{DAYS}&agent=planner&group=feature&mix=feature&who=feature",
    "dashboard of a user": f"dashboard/?{DAYS}&user=user-7",
    "dashboard filters": f"dashboard/filters/?{DAYS}",
    "traces": f"traces/?{DAYS}",
    "traces, model and status": f"traces/?{DAYS}&model=gpt-4o-2024-08-06&status=error",
    "traces, model, failed steps": f"traces/?{DAYS}&model=gpt-4o-2024-08-06&error=TimeoutError",
    "traces, one user": f"traces/?{DAYS}&user=user-7",
    "traces, rare user": f"traces/?{DAYS}&user=user-3999",
    "traces, tag": f"traces/?{DAYS}&tag=gold",
    "traces by cost": f"traces/?{DAYS}&sort=-cost",
    "traces by duration": f"traces/?{DAYS}&sort=-duration",
    "traces by tokens": f"traces/?{DAYS}&sort=-tokens",
    "traces, query bar": f"traces/?{DAYS}&q=cost%3A%3E0.02+-env%3Adev+duration%3A%3E2s",
    "traces, no match": f"traces/?{DAYS}&q=cost%3A%3E90000",
    "traces, common word": f"traces/?{DAYS}&q=invoice",
    "traces, text": f"traces/?{DAYS}&q=%22refund+policy%22",
    "traces, rare text": f"traces/?{DAYS}&q=%22subscription+refund+charged%22",
    "traces, text and model": f"traces/?{DAYS}&q=%22refund+policy%22+model%3Agpt-5-nano-2025-08-07",
    "search, words": f"search/?{DAYS}&q=refund+policy",
    "search, meaning": f"search/?{DAYS}&q=refund+policy&match=meaning",
    "search, both": f"search/?{DAYS}&q=refund+policy&match=both",
    "sessions": f"sessions/?{DAYS}",
    "sessions by cost": f"sessions/?{DAYS}&sort=-cost",
    "sessions, text": f"sessions/?{DAYS}&q=-77",
    "users": f"users/?{DAYS}",
    "users by cost": f"users/?{DAYS}&sort=-cost",
    "errors": f"errors/?{DAYS}",
    "models": f"models/?{DAYS}",
    "model": f"models/detail/?{DAYS}&provider=openai&model=gpt-4o-2024-08-06",
    "scores": f"scores/?{DAYS}",
    "scores of one name": f"scores/?{DAYS}&name=helpfulness",
    "collections": "collections/",
    "exports": "exports/",
    "ingestion": "ingestion/",
    "data settings": "settings/data/",
}
# Pages outside the project.
OTHERS = {"projects": "/projects/", "jobs": "/jobs/"}


def api_paths() -> dict[str, str]:
    """The API's lists, below the project."""
    month = f"start_date={dt.datetime.now(dt.UTC).date() - dt.timedelta(days=30)}"
    return {
        "API traces": f"traces?{DAYS}&limit=100",
        "API costs": f"costs?{month}&group_by=model",
        "API costs by user": f"costs?{month}&group_by=user",
        "API records": f"costs/records?{month}&limit=100",
        "API series": f"costs/series?{month}",
        "API spans": "spans?limit=100",
        "API sessions": f"sessions?{DAYS}",
        "API users": f"users?{DAYS}",
        "API errors": f"errors?{DAYS}",
        "API models": f"models?{month}",
        "API scores": f"scores?{DAYS}",
        "API search": f"search?{DAYS}&q=refund+policy",
    }
