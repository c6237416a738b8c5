"""The explorer's page: exact figures, links to exactly their calls, the tenant's walls."""

import csv
import html
import io
import re
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.test import Client

from tests.costs.explorer_pages.conftest import RANGE
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def rows(client: Client, url: str, **query: object) -> list[list[str]]:
    """The table's cells as text, head and foot included."""
    text = page(client, url, **query)
    table = text[text.index('id="explorer-table"') :]
    table = table[table.index("<table") : table.index("</table>")]
    return [
        [
            " ".join(html.unescape(re.sub(r"<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ]


def page(client: Client, url: str, **query: object) -> str:
    answer = client.get(url, {"range": RANGE, **query})
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def test_one_dimension_with_share_and_change(place: SimpleNamespace) -> None:
    found = rows(place.viewer, place.url, by="model", compare="previous")
    assert found[0] == ["Model", "Cost", "Share", "Change", "Calls", "Tokens"]
    assert found[1][:3] == ["gpt-a", "$6.00", "70.6%"]
    assert found[2][:4] == ["gpt-b", "$2.00", "23.5%", "down 50.0%"]
    assert found[3][3] == "new"
    # Nobody knows what it cost: not $0, and no fall.
    assert found[4] == ["house", "Unpriced", "—", "—", "1", "110"]
    assert found[-1][:2] == ["Total", "$8.50"]


def test_titles_hold_every_digit(place: SimpleNamespace) -> None:
    text = page(place.viewer, place.url, by="model")
    assert 'title="$2.000000000001"' in text
    assert 'title="$8.500000000001"' in text


def test_a_pivot_adds_up_in_both_directions(place: SimpleNamespace) -> None:
    found = rows(place.viewer, place.url, by=["model", "user"])
    assert found[0] == ["Model", "ada", "bob", "eve", "Total"]
    assert found[1] == ["gpt-a", "$5.25", "$0.75", "—", "$6.00"]
    assert found[4] == ["house", "—", "—", "Unpriced", "Unpriced"]
    assert found[-1] == ["Total", "$7.25", "$0.75", "$0.50", "$8.50"]


def test_a_call_with_two_tags_counts_once_in_totals(place: SimpleNamespace) -> None:
    text = page(place.viewer, place.url, by=["tag", "project"])
    found = rows(place.viewer, place.url, by=["tag", "project"])
    assert found[1] == ["beta", "$3.25", "$4.00", "$7.25"]
    assert found[-1] == ["Total", "$4.50", "$4.00", "$8.50"]
    assert "the total counts it once" in text


def test_the_rest_stands_together(place: SimpleNamespace) -> None:
    found = rows(place.viewer, place.url, by=["model", "user"], limit="1")
    assert found[2] == ["3 others", "$2.00", "—", "$0.50", "$2.50"]
    assert "Show more" in page(place.viewer, place.url, by="model", limit="1")


def test_no_dimension_lists_the_days(place: SimpleNamespace) -> None:
    found = rows(place.viewer, place.url, bin="day", compare="previous")
    assert found[1][:2] == ["Tue, Nov 3", "$6.00"]
    assert found[2][:3] == ["Wed, Nov 4", "$2.50", "down 37.5%"]


def test_ratios_are_lines_and_have_no_share(place: SimpleNamespace) -> None:
    text = page(place.viewer, place.url, by="project", measures="cost_per_user")
    assert 'class="ln c1"' in text
    found = rows(place.viewer, place.url, by="project", measures="cost_per_user")
    assert found[0] == ["Project", "Cost per user"]
    assert found[1:] == [["Search", "$4.00"], ["Checkout", "$1.50"], ["Total", "$2.83"]]


def links(text: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'class="fig[^"]*" href="([^"]+)"', text)]


def test_figures_lead_to_the_traces_of_their_calls(place: SimpleNamespace) -> None:
    found = links(page(place.viewer, place.url, by="model", project=str(place.checkout.pk)))
    assert found[0] == (
        "/projects/checkout/traces/?range=2026-11-03T00%3A00Z..2026-11-05T00%3A00Z&model=gpt-b"
    )
    answer = place.viewer.get(found[0])
    assert answer.status_code == 200
    # The unpriced figure leads to what has no price.
    assert any("model=house&unpriced=1" in one for one in found)


def test_what_traces_cannot_be_told_by_narrows_the_explorer(place: SimpleNamespace) -> None:
    found = links(page(place.viewer, place.url, by="model"))
    assert found[0].startswith(f"{place.url}?")
    assert {"by=project", "model=gpt-a"} <= set(found[0].partition("?")[2].split("&"))
    versions = links(page(place.viewer, place.url, by="prompt_version", project=str(place.checkout.pk)))  # fmt: skip
    assert versions[0].startswith(f"{place.url}?")
    assert "prompt_version=%28none%29" in versions[0]
    assert place.viewer.get(versions[0]).status_code == 200


def test_filters_are_chips_and_come_with_suggestions(place: SimpleNamespace) -> None:
    text = page(place.viewer, place.url, by="user", customer="acme")
    assert "Customer <b>acme</b>" in text
    assert rows(place.viewer, place.url, by="user", customer="acme")[-1][:2] == ["Total", "$2.00"]
    text = page(place.viewer, f"{place.url}filters/", dimension="model", model="gpt-b")
    assert re.findall(r'name="model" value="([^"]+)"( checked)?', text) == [
        ("gpt-a", ""),
        ("gpt-b", " checked"),
        ("gpt-c", ""),
        ("house", ""),
    ]


def test_csv_has_every_digit_and_the_period_before(place: SimpleNamespace) -> None:
    query = {"range": RANGE, "by": "model", "compare": "previous"}
    answer = place.viewer.get(f"{place.url}export.csv", query)
    found = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [line["model"] for line in found] == ["gpt-a", "gpt-b", "gpt-c", "house", "(total)"]
    assert found[3]["cost_usd"] == ""
    assert sum(Decimal(line["cost_usd"] or 0) for line in found[:-1]) == Decimal("8.500000000001")
    assert found[1]["previous_cost_usd"] == "4.000000000000"


def test_an_address_without_a_question_opens_with_models(place: SimpleNamespace) -> None:
    text = place.viewer.get(place.url).content.decode()
    assert "Cost by model per day" in text
    assert place.viewer.get("/costs/").headers["Location"] == place.url


def test_what_cannot_be_answered_is_named(place: SimpleNamespace) -> None:
    answer = place.viewer.get(place.url, {"by": "colour"})
    assert answer.status_code == 400
    assert "colour" in answer.content.decode()


def test_others_cannot_tell_that_it_exists(place: SimpleNamespace) -> None:
    stranger = Client()
    stranger.force_login(MembershipFactory().user)
    for url in (place.url, f"{place.url}export.csv", f"{place.url}filters/"):
        assert stranger.get(url).status_code == 404
        assert Client().get(url).status_code == 302
    # A foreign project's id finds nothing.
    text = page(place.viewer, place.url, project=str(place.foreign.pk))
    assert "No calls match" in text
    assert "Foreign" not in text


def test_an_organisation_without_projects_says_what_to_do(
    acme: SimpleNamespace, client_of: object
) -> None:
    text = client_of(acme.owner).get("/organizations/acme/costs/").content.decode()  # type: ignore[operator]
    assert "No project yet" in text


@pytest.mark.parametrize("by", [[], ["model"], ["model", "user"], ["api_key"]])
def test_queries_do_not_grow(
    place: SimpleNamespace, django_assert_max_num_queries: object, by: list[str]
) -> None:
    query = {"range": RANGE, "by": by, "compare": "previous"}
    with django_assert_max_num_queries(24):  # type: ignore[operator]  # cold: days that still move are read
        place.viewer.get(place.url, query)
    with django_assert_max_num_queries(9):  # type: ignore[operator]
        place.viewer.get(place.url, query)


def test_html_of_names_is_shown_as_text(place: SimpleNamespace) -> None:
    ProjectFactory(organization=place.organization, name="<b>bold</b>")
    assert "<b>bold</b>" not in page(place.viewer, place.url, by="project")
