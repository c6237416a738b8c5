"""What a kept answer says, as far as the project lets its contents be read."""

from typing import NamedTuple

import msgspec

from core import crypto
from core.masking import Masker
from gateway.cache.kept import open_contents
from gateway.dialects.collect import Collector
from gateway.models import CachedResponse
from gateway.structs import Dialect
from projects.models import ContentCapture, Project
from traces.ingest.capture import capture_of

MAX_SHOWN = 20_000


class Said(NamedTuple):
    """`why_not`: why nothing is shown."""

    question: str = ""
    answer: str = ""
    why_not: str = ""


def said_in(project: Project, entry: CachedResponse) -> Said:
    """Question and answer; masked where the project masks, nothing where it keeps no contents."""
    if project.content_capture == ContentCapture.OFF:
        return Said(why_not="This project does not keep contents to be read.")
    try:
        cipher = crypto.data_cipher(project.organization.data_key)
        contents = open_contents(cipher, project.pk, entry.key, entry.sealed)
        collector = Collector(Dialect(entry.dialect))
        collector.whole(contents.answer)
    except (crypto.DecryptionError, msgspec.MsgspecError, ValueError):
        return Said(why_not="It was sealed with a key that is gone.")
    answer = collector.text or contents.answer.decode("utf-8", "replace")
    texts = [contents.question[:MAX_SHOWN], answer[:MAX_SHOWN]]
    capture = capture_of(project.content_capture, project.masking)
    if capture.rules and project.content_capture != ContentCapture.PLAIN:
        masker = Masker(capture.rules)
        texts = [masker.text(text) for text in texts]
    return Said(*texts)
