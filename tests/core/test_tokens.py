"""The look kept true: contrast and colour-blind distance of the tokens, and templates the security policy accepts."""

import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSS = ROOT / "static" / "css"
# Mails have no policy, and mail clients no style sheets.
TEMPLATES = sorted(
    path for path in (ROOT / "templates").rglob("*.html") if "emails" not in path.parts
)
TEXT, GRAPHIC, MIN_DISTANCE = 4.5, 3.0, 11.0
PAIRS = [
    *(
        (fore, back, TEXT)
        for fore in ("text", "text-2", "text-3")
        for back in ("surface", "canvas", "surface-2", "sunken")
    ),
    ("text", "hover", TEXT),
    ("text", "current", TEXT),
    ("text-2", "hover", TEXT),
    ("accent", "surface", TEXT),
    ("accent", "accent-soft", TEXT),
    *((tone, f"{tone}-soft", TEXT) for tone in ("good", "warn", "bad")),
    *((tone, "surface", TEXT) for tone in ("good", "warn", "bad")),
    *((syntax, "sunken", TEXT) for syntax in ("syn-str", "syn-num", "syn-kw")),
    ("bad-solid", "surface", GRAPHIC),
    ("field", "surface", GRAPHIC),
    ("co", "surface", GRAPHIC),
    *((f"c{slot}", "surface", GRAPHIC) for slot in range(1, 7)),
]
# Machado, Oliveira, Fernandes 2009, severity 1.0
VISIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)

Vector = tuple[float, ...]


def _tokens() -> dict[str, tuple[str, str]]:
    css = (CSS / "tokens.css").read_text()
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", css)
    return {name: (light, dark) for name, light, dark in reversed(found)}


TOKENS = _tokens()


def _linear(colour: str) -> Vector:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)


def _times(matrix: tuple[Vector, ...], vector: Vector) -> Vector:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _contrast(one: str, other: str) -> float:
    lights = [
        sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))
        for colour in (one, other)
    ]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def _lab(colour: str, vision: tuple[Vector, ...]) -> Vector:
    seen = tuple(min(max(c, 0.0), 1.0) for c in _times(vision, _linear(colour)))
    return _times(LAB, tuple(max(c, 0.0) ** (1 / 3) for c in _times(LMS, seen)))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("fore", "back", "need"), PAIRS)
def test_contrast(fore: str, back: str, need: float, theme: int) -> None:
    assert _contrast(TOKENS[fore][theme], TOKENS[back][theme]) >= need


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_chart_colours_stay_apart(vision: str, theme: int) -> None:
    labs = [_lab(TOKENS[f"c{slot}"][theme], VISIONS[vision]) for slot in range(1, 7)]
    worst = min(
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for one, other in itertools.combinations(labs, 2)
    )
    assert worst * 100 >= MIN_DISTANCE


@pytest.mark.parametrize("button", ["accent-solid", "accent-hover"])
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_white_text_on_solid_buttons(button: str, theme: int) -> None:
    assert _contrast("#ffffff", TOKENS[button][theme]) >= TEXT


def test_destructive_button_text_fits_each_theme() -> None:
    light, dark = TOKENS["bad-solid"]
    assert _contrast("#ffffff", light) >= TEXT
    assert _contrast("#18181d", dark) >= TEXT


def test_every_colour_used_exists() -> None:
    text = "".join(path.read_text() for path in CSS.rglob("*.css"))
    defined = set(re.findall(r"(--[a-z0-9-]+):", text))
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", text)) <= defined


def test_app_css_imports_every_file_once() -> None:
    imported = re.findall(r'@import url\("([^"]+)"\)', (CSS / "app.css").read_text())
    files = {str(path.relative_to(CSS)) for path in CSS.rglob("*.css")} - {"app.css"}
    assert sorted(imported) == sorted(files)


def test_braces_balance_in_every_stylesheet() -> None:
    for path in CSS.rglob("*.css"):
        text = path.read_text()
        assert text.count("{") == text.count("}"), path.name


FORBIDDEN = {
    "inline style": re.compile(r"<[^>]*\sstyle\s*=", re.S),
    "inline handler": re.compile(r"<[a-z][^>]*\son[a-z]+\s*=", re.S),
    "hx-on": re.compile(r"\shx-on[:\w-]*\s*="),
    "style element": re.compile(r"<style[\s>]"),
    "evaluated value": re.compile(r"""hx-(?:vals|headers)\s*=\s*["'](?:js|javascript):"""),
    "trigger filter": re.compile(r"""hx-trigger\s*=\s*["'][^"']*\["""),
    "script without src": re.compile(r"<script(?![^>]*(?:\ssrc=|type=\"application/json\"))"),
}


def _without_comments(source: str) -> str:
    source = re.sub(r"{%\s*comment.*?endcomment\s*%}", "", source, flags=re.S)
    return re.sub(r"{#.*?#}", "", source)


@pytest.mark.parametrize(
    "path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates"))
)
def test_template_holds_nothing_the_policy_blocks(path: Path) -> None:
    source = _without_comments(path.read_text())
    found = [name for name, pattern in FORBIDDEN.items() if pattern.search(source)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        '<p style="x">',
        "<a onclick = 'x'>",
        '<div hx-on:click="x">',
        "<style>",
        "<script>alert(1)</script>",
        """<div hx-vals='js:{a: 1}'>""",
        """<div hx-trigger="keyup[key=='a']">""",
    ],
)
def test_the_scan_would_notice(source: str) -> None:
    assert any(pattern.search(source) for pattern in FORBIDDEN.values())


def test_every_icon_named_in_templates_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/img/icons.svg").read_text()))
    named = re.compile(r"""{%\s*icon\s+["']([\w-]+)["']|icon_name=["']([\w-]+)["']""")
    used = {one or other for path in TEMPLATES for one, other in named.findall(path.read_text())}
    assert used - sprite == set()
