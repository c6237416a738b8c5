"""langfuse 2 with its drop-in `OpenAI`: its own batches to `/api/public/ingestion`, no OpenTelemetry."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.clients.telling import SESSION, TAGS, USER, arguments, tell

given = arguments()
# The drop-in client makes its own Langfuse from these.
os.environ |= {
    "LANGFUSE_HOST": given.collector,
    "LANGFUSE_PUBLIC_KEY": "pk-lf-llmlab",
    "LANGFUSE_SECRET_KEY": given.key,
    "LANGFUSE_RELEASE": "2.1",
    "LANGFUSE_TRACING_ENVIRONMENT": "staging",
}

from langfuse.decorators import langfuse_context, observe  # noqa: E402
from langfuse.openai import OpenAI, openai  # noqa: E402

from tests.clients.scenarios import openai_scenarios  # noqa: E402


def main() -> None:
    scenarios = openai_scenarios(given.provider, OpenAI)
    ids: list[str] = []

    def observed(name: str) -> Callable[[], dict[str, object]]:
        @observe(name=name)
        def run() -> dict[str, object]:
            langfuse_context.update_current_trace(
                name=name, user_id=USER, session_id=SESSION, tags=TAGS
            )
            ids.append(langfuse_context.get_current_trace_id() or "")
            return scenarios[name]()

        return run

    @contextmanager
    def around(name: str) -> Iterator[Callable[[], str]]:
        yield lambda: ids[-1]

    tell({name: observed(name) for name in scenarios}, around, given.scenarios)
    langfuse_context.flush()
    openai.flush_langfuse()


main()
