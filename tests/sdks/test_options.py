"""The tables of options in docs/sdks say what the SDKs' code does: every option, its variable, its default."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON, JAVASCRIPT, GO = (ROOT / "sdks" / name for name in ("python/src", "js/src", "go"))
NONE = "–"
Options = dict[str, tuple[str, str]]
# Answers the default of every setting, as the code has it when neither argument nor variable is given.
DEFAULTS = """import json
from llmlab.config import Settings
settings = Settings()
print(json.dumps({name: getattr(settings, name) for name in Settings.__slots__}))
"""


def table(path: Path) -> Options:
    """Option → (variable, default) of the page's table of options."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| .+ \|$", path.read_text(), re.MULTILINE)
    return {name: (variable.strip("`"), default.strip("`")) for name, variable, default in rows}


def shown(value: Any) -> str:
    """A default as the tables write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value in ("", [], None):
        return NONE
    return f"{value:g}" if isinstance(value, float) and value != 1.0 else str(value)


def python_options() -> Options:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PYTHON)}
    command = [sys.executable, "-c", DEFAULTS]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    return {
        name: (f"LLMLAB_{name.upper()}", shown(default))
        for name, default in json.loads(told).items()
    }


def javascript_options() -> Options:
    """Declared in LLMLabOptions; defaults where settingsOf reads them."""
    code = (JAVASCRIPT / "core" / "settings.ts").read_text()
    declared = re.search(r"export interface LLMLabOptions \{(.+?)\n\}", code, re.DOTALL)
    assert declared is not None
    names = re.findall(r"^  (\w+)\?:", declared[1], re.MULTILINE)
    read = dict(re.findall(r'read\.\w+\("(\w+)", ("[^"]*"|[\w.]+)', code))
    found: Options = {}
    for name in names:
        variable = "LLMLAB_" + re.sub("[A-Z]", lambda letter: f"_{letter[0]}", name).upper()
        found[name] = (variable, read.get(name, '""').strip('"').replace("_", "") or NONE)
    found["debug"] = ("LLMLAB_DEBUG", "false")
    found["logger"], found["exporter"] = (NONE, "console"), (NONE, NONE)
    return found


def go_options() -> Options:
    """Fields of Config; variables and defaults where decide reads them."""
    code = (GO / "config.go").read_text()
    declared = re.search(r"type Config struct \{(.+?)\n\}", code, re.DOTALL)
    assert declared is not None
    constants = dict(re.findall(r"^\t(default\w+)\s*= (.+)$", code, re.MULTILINE))
    found: Options = {}
    for name in re.findall(r"^\t([A-Z]\w+)\s+\S", declared[1], re.MULTILINE):
        variable = re.search(rf"s\.{name} = [^\n]*env\.flag\(\"(\w+)\", (\w+)\)", code)
        variable = variable or re.search(rf'env\.\w+\("(\w+)", &s\.{name}, (.+?)\)\n', code)
        found[name] = (variable[1], go_value(variable[2], constants)) if variable else (NONE, NONE)
    # Read by code of their own.
    assert 'os.Getenv("LLMLAB_MASK")' in code
    assert 'os.Getenv("LLMLAB_SAMPLE_RATE")' in code
    assert "sampleRate: 1}" in code
    assert "say = log.Printf" in (GO / "teller.go").read_text()
    return {
        **found,
        "Masks": ("LLMLAB_MASK", NONE),
        "SampleRate": ("LLMLAB_SAMPLE_RATE", "1"),
        "Logger": (NONE, "log.Printf"),
    }


def go_value(text: str, constants: dict[str, str]) -> str:
    """`32 << 20` is 33554432, `5*time.Second` is 5."""
    text = constants.get(text, text).partition(" //")[0].strip()
    if shifted := re.fullmatch(r"(\d+) << (\d+)", text):
        return str(int(shifted[1]) << int(shifted[2]))
    if seconds := re.fullmatch(r"(?:(\d+) ?\* ?)?time\.Second", text):
        return seconds[1] or "1"
    return text.strip('"') or NONE


READ = {"python": python_options, "javascript": javascript_options, "go": go_options}


@pytest.mark.parametrize("language", READ)
def test_the_page_has_every_option_with_its_variable_and_default(language: str) -> None:
    documented = table(ROOT / "docs" / "sdks" / f"{language}.md")
    options = READ[language]()
    assert len(options) >= 18
    assert documented == options


def test_what_the_languages_share_has_one_default() -> None:
    """The contract's settings are the same everywhere; only their spelling differs."""
    by_variable: dict[str, set[str]] = {}
    for read in READ.values():
        for variable, default in read().values():
            by_variable.setdefault(variable, set()).add(default.removesuffix(".0"))
    del by_variable[NONE]
    assert {name: found for name, found in by_variable.items() if len(found) > 1} == {}


@pytest.mark.parametrize("language", READ)
def test_each_guide_leads_to_troubleshooting_and_to_the_contract(language: str) -> None:
    text = (ROOT / "docs" / "sdks" / f"{language}.md").read_text()
    assert "](troubleshooting.md)" in text
    assert "](contract.md)" in text
