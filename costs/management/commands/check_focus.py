"""`manage.py check_focus FILE`: does this file conform to FOCUS?"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from costs.focus.check import check_file
from costs.focus.columns import DEFAULT_VERSION, VERSIONS

SHOWN = 50


class Command(BaseCommand):
    help = "Check a FOCUS file (CSV, JSON Lines or Parquet) against its version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--focus-version",
            choices=VERSIONS,
            help="Default: what the metadata file beside it says, else the file's name, else 1.2.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"{path} is no file.")
        version = options["focus_version"] or version_of(path)
        count = 0
        try:
            for words in check_file(path, version):
                count += 1
                if count <= SHOWN:
                    self.stdout.write(words)
        except (ValueError, OSError) as error:
            raise CommandError(f"{path.name} cannot be read: {error}") from error
        if count:
            raise CommandError(
                f"{count} findings; {path.name} does not conform to FOCUS {version}."
            )
        self.stdout.write(f"{path.name} conforms to FOCUS {version}.")


def version_of(path: Path) -> str:
    """What the metadata beside the file, or the file's name, says."""
    beside = path.with_name(
        path.name.split(".csv")[0].split(".jsonl")[0].split(".parquet")[0] + ".metadata.json"
    )
    if beside.is_file():
        stated = json.loads(beside.read_text()).get("FocusVersion")
        if stated in VERSIONS:
            return str(stated)
    return next((one for one in VERSIONS if f"-{one}-" in path.name), DEFAULT_VERSION)
