"""Every malformed upload of the corpus against the real server, good uploads between them."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from benchmarks import exactness, malformed
from tests.factories.projects import ProjectFactory
from tests.functional.server import Server
from tests.traces.corpus import cases
from tests.traces.uploads import key_for
from traces.models import Trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_malformed_uploads_break_nothing_and_cost_no_neighbour(server: Server) -> None:
    project = ProjectFactory()
    sender = malformed.Sender(server.url, project.slug, key_for(project)[1])
    # Of the dialects' families every third, to be done in time; `python -m benchmarks.malformed` sends them all.
    every = cases(datetime.now(UTC))
    assert len(every) >= 2_000
    corpus = [c for n, c in enumerate(every) if not c.name.startswith("dialect/") or n % 3 == 0]
    malformed.warm_up(sender)
    before = server.rss()

    outcome = malformed.send_corpus(sender, corpus)

    sender.close()
    assert (outcome.server_errors, outcome.wrong, outcome.refused_neighbours) == (0, [], [])
    stored = set(Trace.objects.filter(project=project).values_list("trace_id", flat=True))
    assert len(outcome.neighbours) == len(corpus)
    assert malformed.lost_neighbours(stored, outcome) == 0
    assert (server.rss() - before) / 2**20 <= malformed.BAR_MIB
    assert "Traceback" not in server.log.read_text(errors="replace")
    connection.ensure_connection()
    assert exactness.discrepancies(connection.connection, str(project.pk)) == []
