"""A part that asks again by itself and replaces itself must not answer over a filter that was chosen meanwhile: of two
answers for one part the second finds nothing to replace, so the older question has to give way."""

import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
TAGS = [
    tag
    for path in sorted(TEMPLATES.rglob("*.html"))
    for tag in re.findall(r"<[a-z][^<]*?hx-get[^<]*?>", path.read_text(encoding="utf-8"))
]
POLLERS = {
    found[1]: tag
    for tag in TAGS
    if 'hx-swap="outerHTML"' in tag
    and (tag.startswith("<live-part") or re.search(r'hx-trigger="[^"]*every', tag))
    and (found := re.search(r' id="([\w-]+)"', tag))
}
FILTERED = {
    name: others
    for name in POLLERS
    if (others := [tag for tag in TAGS if f'hx-target="#{name}"' in tag])
}


def test_there_are_such_parts() -> None:
    assert {"export-results", "billing-state", "channel-state"} <= set(FILTERED)


@pytest.mark.parametrize("name", sorted(FILTERED))
def test_a_filter_takes_the_place_of_the_part_that_asks_again(name: str) -> None:
    assert 'hx-sync="this:abort"' in POLLERS[name]
    assert [tag for tag in FILTERED[name] if f'hx-sync="#{name}:replace"' not in tag] == []
