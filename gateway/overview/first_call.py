"""How to send the first call: code with this server's address."""

import json

from gateway.models import Route
from gateway.overview.reading import Reading
from projects.snippets import PLACEHOLDER

MODEL = "gpt-4o-mini"


def snippet(reading: Reading, *, base_url: str) -> str:
    """curl with a route or model that this project can call. One query."""
    body = {
        "model": _model(reading),
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    return (
        f"curl {base_url}/v1/chat/completions \\\n"
        f'  -H "Authorization: Bearer {PLACEHOLDER}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{json.dumps(body)}'"
    )


def _model(reading: Reading) -> str:
    names = Route.objects.filter(project=reading.project, is_enabled=True).exclude(name="*")
    route = names.order_by("name").values_list("name", flat=True).first()
    if route:
        return route.replace("'", "'\\''")
    named = (model for one in reading.connections.values() for model in one.model_names)
    return next(named, MODEL)
