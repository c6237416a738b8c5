"""logfire with its OpenAI instrumentation; only its base URL points elsewhere, so pending spans come too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import logfire

from tests.clients.scenarios import openai_scenarios
from tests.clients.telling import TAGS, USER, arguments, tell


def main() -> None:
    given = arguments()
    logfire.configure(
        token=given.key,
        send_to_logfire=True,
        console=False,
        inspect_arguments=False,
        metrics=False,
        service_name="with-logfire",
        service_version="2.1",
        environment="staging",
        advanced=logfire.AdvancedOptions(base_url=given.collector),
    )
    logfire.instrument_openai()

    @contextmanager
    def around(name: str) -> Iterator[Callable[[], str]]:
        with logfire.span(name, _tags=TAGS, **{"user.id": USER}) as span:
            # As if it took longer than the exporter waits: its start goes out in a batch of its own.
            logfire.force_flush()
            yield lambda: f"{span.get_span_context().trace_id:032x}"

    tell(openai_scenarios(given.provider), around, given.scenarios)
    logfire.shutdown()


main()
