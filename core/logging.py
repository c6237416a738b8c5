"""Log records leave this process without credentials in them."""

import logging
import re

_SECRET = re.compile(
    r"(llmlab_sk_)[A-Za-z0-9_\-]{6,}|(sk-[A-Za-z0-9]{2,6})[A-Za-z0-9_\-]{10,}"
    r"|((?:authorization|x-api-key|password|api_key|key)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+|basic\s+)?)[^\s\"'&,;]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with everything that looks like a credential replaced."""
    return _SECRET.sub(lambda m: f"{m.group(1) or m.group(2) or m.group(3)}[redacted]", text)


class RedactingFormatter(logging.Formatter):
    """Redacts what is written: message, arguments and traceback alike."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
