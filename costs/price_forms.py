"""The forms of price rules. What may be is decided by costs.rule_drafts; forms only carry it."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from core.errors import DomainError
from core.formats import plain_decimal
from costs.model_lists import CLASS_WORDS
from costs.models import PriceRule, RuleKind, Tier
from costs.price_rules import PRICE_KEYS
from costs.prices import ListPrice
from costs.rule_drafts import RuleDraft, read_draft

# Shown at once; the others fold.
MAIN = ("input", "cache_read", "cache_write", "output")
_LINE = re.compile(r"prices\[(\d+)\](.*)")


def _amount(label: str) -> forms.CharField:
    attrs = {"inputmode": "decimal", "autocomplete": "off", "class": "num"}
    return forms.CharField(
        required=False, max_length=40, label=label, widget=forms.TextInput(attrs=attrs)
    )


class PriceRuleForm(forms.Form):
    """An override or a discount; `kind` is fixed by the page."""

    provider = forms.CharField(
        required=False,
        max_length=64,
        label="Provider",
        help_text="As your calls name it: openai, azure, vllm … Empty: any provider.",
    )
    model = forms.CharField(
        max_length=200,
        label="Model",
        help_text="A name, or a pattern: gpt-5* is every model that begins so, * is every model.",
    )
    service_tier = forms.ChoiceField(choices=Tier.choices, required=False, label="Service tier")
    valid_from = forms.DateField(
        required=False,
        label="First day (UTC)",
        help_text="Empty: always. Stored calls from this day on are priced again.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    valid_to = forms.DateField(
        required=False,
        label="Last day (UTC)",
        help_text="Empty: until further notice.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    percent_off = forms.CharField(
        required=False,
        max_length=20,
        label="Percent off",
        help_text="15 is 15 % off; a negative number is a surcharge. Costs your programs state themselves stay.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    above = forms.CharField(
        required=False,
        max_length=12,
        label="Long-context threshold in input tokens",
        help_text="Calls with more input tokens are charged the prices of the second column, as a whole.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    note = forms.CharField(
        required=False,
        max_length=1000,
        label="Note",
        help_text="Where the price comes from: contract, invoice, quote.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        if kind == RuleKind.DISCOUNT:
            del self.fields["above"]
            self.fields["percent_off"].required = True
            return
        del self.fields["percent_off"]
        for name, (_, per) in PRICE_KEYS.items():
            unit = "1M tokens" if per == 1_000_000 else f"{per:,}"
            words = CLASS_WORDS[name]
            self.fields[f"price_{name}"] = _amount(f"{words}, $ per {unit}")
            self.fields[f"above_{name}"] = _amount(f"{words} above the threshold, $ per {unit}")

    @property
    def price_rows(self) -> list[dict[str, Any]]:
        """The price table: class by class, both columns."""
        if self.kind == RuleKind.DISCOUNT:
            return []
        return [
            {
                "words": CLASS_WORDS[name],
                "unit": "1M" if per == 1_000_000 else f"{per:,}",
                "field": self[f"price_{name}"],
                "above": self[f"above_{name}"],
                "is_main": name in MAIN,
            }
            for name, (_, per) in PRICE_KEYS.items()
        ]

    @property
    def has_more(self) -> bool:
        """Whether a folded price is filled in or wrong, so that it must be seen."""
        return any(
            row["field"].value() or row["field"].errors or row["above"].value()
            for row in self.price_rows
            if not row["is_main"]
        )

    def draft(self) -> RuleDraft | None:
        """The checked rule; None with the errors at their fields."""
        if not self.is_valid():
            return None
        data = {"kind": self.kind, **self.cleaned_data}
        lines = self._lines() if self.kind == RuleKind.OVERRIDE else []
        if self.errors:
            return None
        try:
            return read_draft({**data, "prices": lines or None})
        except DomainError as error:
            self.refuse(error, [line["class"] for line in lines])
            return None

    def _lines(self) -> list[dict[str, Any]]:
        above = self.cleaned_data["above"].replace(",", "").strip()
        if above and not (above.isascii() and above.isdigit()):
            self.add_error(
                "above", "The threshold must be a whole number of tokens, such as 200000."
            )
        lines = []
        for name in PRICE_KEYS:
            price = self.cleaned_data[f"price_{name}"]
            long = self.cleaned_data[f"above_{name}"]
            if long and not above:
                self.add_error("above", "Give the threshold above which the second column applies.")
            if long and not price:
                self.add_error(f"price_{name}", "Give the price below the threshold as well.")
            if price:
                tiers = (
                    [{"above_input_tokens": int(above), "price_usd": long}]
                    if long and above.isdigit()
                    else []
                )
                lines.append({"class": name, "price_usd": price, "tiers": tiers})
        if not lines and not self.errors:
            self.add_error("price_input", "Give at least one price; 0 is a price too.")
        return lines

    def refuse(self, error: DomainError, classes: list[str] | None = None) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        if (found := _LINE.match(named)) and classes:
            side = "above" if "tiers" in found[2] else "price"
            named = f"{side}_{classes[int(found[1])]}"
        self.add_error(named if named in self.fields else None, error.detail)


def initial_of_rule(rule: PriceRule) -> dict[str, Any]:
    """A form filled with a stored rule."""
    found: dict[str, Any] = {
        "provider": rule.provider,
        "model": rule.pattern,
        "service_tier": rule.service_tier,
        "valid_from": rule.valid_from,
        "valid_to": rule.valid_to,
        "note": rule.note,
    }
    if rule.factor is not None:
        found["percent_off"] = plain_decimal((1 - rule.factor) * 100)
    for line in rule.prices:
        found[f"price_{line['class']}"] = line["price_usd"]
        for tier in line["tiers"][:1]:
            found["above"] = str(tier["above_input_tokens"])
            found[f"above_{line['class']}"] = tier["price_usd"]
    return found


def initial_of_price(provider: str, model: str, price: ListPrice) -> dict[str, Any]:
    """A form for a new override, filled with what the model costs today."""
    found: dict[str, Any] = {"provider": provider, "model": model}
    for one in price.classes:
        if one.token_class not in PRICE_KEYS:
            continue
        found[f"price_{one.token_class}"] = plain_decimal(one.price_usd)
        for start, usd in one.tiers[:1]:
            found["above"] = str(start)
            found[f"above_{one.token_class}"] = plain_decimal(usd)
    return found


def suggested_prices(given: Mapping[str, str]) -> dict[str, Any]:
    """Prices, tier and first day that a link proposes, such as the bill's (costs.reconciliation). The form checks them
    like what people type; what is too long for it is left out."""
    names = ["service_tier", "valid_from", *(f"price_{name}" for name in PRICE_KEYS)]
    return {
        name: given[name]
        for name in names
        if given.get(name) and len(given[name]) <= 40 and "\x00" not in given[name]
    }
