"""langfuse 5 with its drop-in `OpenAI`: OTLP, user, session and tags propagated as span attributes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langfuse import Langfuse, propagate_attributes
from langfuse.openai import OpenAI

from tests.clients.scenarios import openai_scenarios
from tests.clients.telling import SESSION, TAGS, USER, arguments, tell


def main() -> None:
    given = arguments()
    langfuse = Langfuse(
        public_key="pk-lf-llmlab",
        secret_key=given.key,
        base_url=given.collector,
        environment="staging",
        release="2.1",
    )

    @contextmanager
    def around(name: str) -> Iterator[Callable[[], str]]:
        with (
            langfuse.start_as_current_observation(as_type="span", name=name) as span,
            propagate_attributes(user_id=USER, session_id=SESSION, tags=TAGS, trace_name=name),
        ):
            yield lambda: span.trace_id

    tell(openai_scenarios(given.provider, OpenAI), around, given.scenarios)
    langfuse.shutdown()


main()
