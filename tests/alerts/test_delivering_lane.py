"""Messages have a worker of their own, and every queue is served."""

import re
from pathlib import Path

from config import local
from core.doctor.processes import QUEUES

PROCFILE = Path(__file__).resolve().parents[2] / "Procfile"


def test_every_queue_is_served_and_messages_have_threads_of_their_own() -> None:
    served = [line.split(",") for line in re.findall(r"--queues (\S+)", PROCFILE.read_text())]
    assert sorted(one for queues in served for one in queues) == sorted(QUEUES)
    assert ["notify"] in served
    started = [*local.QUEUES.split(","), *local.LLM_QUEUES.split(","), "notify"]
    assert sorted(started) == sorted(QUEUES)
