"""What a check of `manage.py doctor` says."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; `advice` is empty when nothing needs doing."""

    name: str
    level: Level
    detail: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def ok(name: str, detail: str) -> Finding:
    return Finding(name, Level.OK, detail)


def warn(name: str, detail: str, advice: str) -> Finding:
    return Finding(name, Level.WARN, detail, advice)


def fail(name: str, detail: str, advice: str) -> Finding:
    return Finding(name, Level.FAIL, detail, advice)
