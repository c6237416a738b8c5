"""The interface tags and components: links that keep the query, folding JSON with caps, forms wired for readers."""

from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.template.loader import get_template, render_to_string
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from core.htmx import render_page_or_part
from core.json_view import MAX_DEPTH, MAX_ITEMS, MAX_TEXT, json_tree


def _render(source: str, url: str = "/traces/", **context: Any) -> str:
    request = RequestFactory().get(url)
    return Template(source).render(Context({"request": request, **context}))


def test_query_keeps_replaces_and_drops() -> None:
    html = _render(
        "{% query_with sort='-cost' cursor=None %}", "/traces/?model=a&model=b&cursor=x&sort=name"
    )
    assert html == "?model=a&amp;model=b&amp;sort=-cost"


def test_query_of_a_name_known_at_run_time() -> None:
    html = _render("{% query_with param_name=p param_value=v %}", "/?a=1", p="range", v="7 d&x")
    assert html == "?a=1&amp;range=7+d%26x"


@pytest.mark.parametrize(
    ("query", "state", "link"),
    [
        ("", ' aria-sort="descending"', "?sort=started"),
        ("?sort=started", ' aria-sort="ascending"', "?sort=-started"),
        ("?sort=-cost&cursor=abc", "", "?sort=-started"),
    ],
)
def test_sort_links_turn_round(query: str, state: str, link: str) -> None:
    source = (
        "{% sort_state 'started' default='-started' %}|"
        "{% sort_header 'Started' 'started' default='-started' %}"
    )
    shown, _, anchor = _render(source, f"/traces/{query}").partition("|")
    assert shown == state
    assert f'href="{link}"' in anchor


def test_icons_are_decorative_unless_labelled() -> None:
    assert 'aria-hidden="true"' in _render("{% icon 'x' %}")
    assert 'role="img" aria-label="Current"' in _render("{% icon 'check' label='Current' %}")


def test_attrs_escape_and_skip() -> None:
    html = _render("{% attrs hx_get=path hidden=True title=None data_x='' %}", path='/a?"b"')
    assert html == 'hx-get="/a?&quot;b&quot;" hidden'


def test_json_tree_escapes_and_types() -> None:
    html = json_tree({"<b>": "<script>", "n": 1.5, "t": True, "z": None, "e": []})
    assert "<script>" not in html
    assert '<span class="k">&lt;b&gt;</span>: <span class="s">"&lt;script&gt;"</span>' in html
    assert '<span class="n">1.5</span>' in html
    assert '<span class="w">true</span>' in html
    assert '<span class="w">null</span>' in html
    assert "<span>[]</span>" in html


def test_json_tree_caps_items_text_nodes_and_depth() -> None:
    long = json_tree({"many": list(range(MAX_ITEMS + 7)), "after": 1})
    assert "… 7 more not shown" in long
    assert "after" in long
    assert f"… {10:,} more characters" in json_tree("x" * (MAX_TEXT + 10))
    assert json_tree([[1] * 50] * 50, max_nodes=60).count('class="n"') <= 60
    deep: Any = "end"
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    assert "nested too deep to show" in json_tree(deep)


def test_json_tree_opens_the_first_levels_of_short_values_only() -> None:
    assert json_tree({"a": {"b": {"c": 1}}}).count("<details open>") == 2
    assert "<details open>" not in json_tree(list(range(60)))


def test_long_text_folds_at_a_space() -> None:
    words = "word " * 400
    source = "{% fold text 100 as f %}{{ f.head }}|{{ f.rest_length }}"
    head, _, rest = _render(source, text=words).partition("|")
    assert head.endswith("word")
    assert len(head) <= 100
    assert int(rest) == len(words) - len(head)


class NameForm(forms.Form):
    """A form with each kind of field."""

    name = forms.CharField(help_text="Shown in the sidebar.")
    agree = forms.BooleanField(required=False, label="I agree")
    scopes = forms.MultipleChoiceField(
        choices=[("read", "Read")], widget=forms.CheckboxSelectMultiple, required=False
    )
    token = forms.CharField(widget=forms.HiddenInput, initial="t")


def test_form_errors_and_help_are_wired_to_their_field() -> None:
    form = NameForm({"name": "", "token": "t"})
    form.add_error(None, "That slug is taken.")
    html = render_to_string("components/form.html", {"form": form})
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert "This field is required." in html
    assert html.index("That slug is taken.") < html.index('name="name"')
    assert html.count('name="token"') == 1
    assert "<legend>Scopes</legend>" in html


def _names() -> list[str]:
    from pathlib import Path

    root = Path(__file__).resolve().parents[2] / "templates"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.html"))


@pytest.mark.parametrize("name", _names())
def test_every_template_compiles(name: str) -> None:
    get_template(name)


@pytest.mark.parametrize("code", ["400", "403", "404", "500"])
def test_error_pages_render_without_a_request(code: str) -> None:
    html = render_to_string(f"{code}.html")
    assert f"Error {code}" in html
    assert "<h1>" in html


def test_error_page_shows_the_refusals_own_words() -> None:
    html = render_to_string("404.html", {"detail": "Trace <x> was not found.", "request_id": "r1"})
    assert "Trace &lt;x&gt; was not found." in html
    assert "r1" in html


@pytest.mark.parametrize(
    ("cookie", "attribute"),
    [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"'), ('"><script>', None)],
)
def test_theme_comes_from_the_cookie(cookie: str, attribute: str | None) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["theme"] = cookie
    html = get_template("400.html").template.render(Context({"request": request}))
    if attribute:
        assert attribute in html
    else:
        assert "data-theme" not in html


def test_base_sends_the_htmx_settings() -> None:
    html = render_to_string("400.html")
    assert '"allowEval":false' in html
    assert '"includeIndicatorStyles":false' in html
    assert '{"code":"422","swap":true}' in html
    assert "htmx-2.min.js" in html
    assert "hx-ws-2.min.js" in html


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "is_part"),
    [
        ({}, False),
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-Boosted": "true"}, False),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
    ],
)
def test_part_only_for_a_swap(headers: dict[str, str], is_part: bool) -> None:
    from django.contrib.auth.models import AnonymousUser

    request: Any = RequestFactory().get("/", headers=headers)
    request.htmx = HtmxDetails(request)
    request.user = AnonymousUser()
    response = render_page_or_part(
        request, page="400.html", part="components/badge.html", context={"text": "x"}, status=422
    )
    assert (b"<html" not in response.content) is is_part
    assert response.status_code == 422
    assert "HX-Request" in response["Vary"]
