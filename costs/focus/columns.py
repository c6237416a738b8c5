"""The columns of each FOCUS version, in the order we write them (pure).

Amounts and prices have up to eighteen decimals. Columns of ours come last and begin with `x_`.
"""

from functools import cache
from typing import Literal

import msgspec

Type = Literal["text", "amount", "integer", "time", "json"]
VERSIONS = ("1.0", "1.2", "1.3")
DEFAULT_VERSION = "1.2"
_ORDER = {"1.0": 0, "1.1": 1, "1.2": 2, "1.3": 3}


class FocusColumn(msgspec.Struct, frozen=True):
    """A column: since when, what it holds, and whether a row may leave it null."""

    name: str
    type: Type = "text"
    since: str = "1.0"
    may_be_null: bool = True


def _all() -> tuple[FocusColumn, ...]:
    must = False
    amount: Type = "amount"
    c = FocusColumn
    return (
        c("BilledCost", "amount", "1.0", must), c("EffectiveCost", "amount", "1.0", must),
        c("ListCost", "amount", "1.0", must), c("ContractedCost", "amount", "1.0", must),
        c("BillingCurrency", may_be_null=must), c("BillingAccountId", may_be_null=must),
        c("BillingAccountName"), c("BillingAccountType", "text", "1.2", must),
        c("SubAccountId"), c("SubAccountName"), c("SubAccountType", "text", "1.2"),
        c("InvoiceId", "text", "1.2"), c("InvoiceIssuerName", may_be_null=must),
        c("BillingPeriodStart", "time", "1.0", must), c("BillingPeriodEnd", "time", "1.0", must),
        c("ChargePeriodStart", "time", "1.0", must), c("ChargePeriodEnd", "time", "1.0", must),
        c("ChargeCategory", may_be_null=must), c("ChargeClass"), c("ChargeDescription"),
        c("ChargeFrequency", may_be_null=must),
        c("ConsumedQuantity", amount), c("ConsumedUnit"),
        c("PricingQuantity", amount), c("PricingUnit"), c("PricingCategory"),
        c("ListUnitPrice", amount), c("ContractedUnitPrice", amount),
        c("PricingCurrency", "text", "1.2", must),
        c("PricingCurrencyListUnitPrice", "amount", "1.2"),
        c("PricingCurrencyContractedUnitPrice", "amount", "1.2"),
        c("PricingCurrencyEffectiveCost", "amount", "1.2", must),
        c("ProviderName", may_be_null=must), c("PublisherName", may_be_null=must),
        c("ServiceProviderName", "text", "1.3", must), c("HostProviderName", "text", "1.3"),
        c("ServiceName", may_be_null=must), c("ServiceCategory", may_be_null=must),
        c("ServiceSubcategory", "text", "1.1", must),
        c("SkuId"), c("SkuMeter", "text", "1.1"), c("SkuPriceId"),
        c("SkuPriceDetails", "json", "1.1"),
        c("ResourceId"), c("ResourceName"), c("ResourceType"),
        c("RegionId"), c("RegionName"), c("AvailabilityZone"),
        c("CommitmentDiscountCategory"), c("CommitmentDiscountId"), c("CommitmentDiscountName"),
        c("CommitmentDiscountStatus"), c("CommitmentDiscountType"),
        c("CommitmentDiscountQuantity", "amount", "1.1"), c("CommitmentDiscountUnit", "text", "1.1"),
        c("CapacityReservationId", "text", "1.1"), c("CapacityReservationStatus", "text", "1.1"),
        c("AllocatedMethodId", "text", "1.3"), c("AllocatedMethodDetails", "json", "1.3"),
        c("AllocatedResourceId", "text", "1.3"), c("AllocatedResourceName", "text", "1.3"),
        c("AllocatedTags", "json", "1.3"), c("ContractApplied", "json", "1.3"),
        c("Tags", "json"),
        c("x_Model"), c("x_TokenType"), c("x_ServiceTier"),
        c("x_InputTokens", "integer"), c("x_OutputTokens", "integer"),
        c("x_RequestCount", "integer"),
        c("x_CostSource", may_be_null=must), c("x_CostBasis", may_be_null=must),
        c("x_BilledCostUsd", "amount"), c("x_TraceProject"), c("x_Feature"), c("x_PromptVersion"),
        c("x_LlmlabCostId"),
    )  # fmt: skip


COLUMNS = _all()
BY_NAME = {column.name: column for column in COLUMNS}


@cache
def columns_of(version: str) -> tuple[FocusColumn, ...]:
    """The columns a file of `version` has, in order; `version` is one of VERSIONS."""
    return tuple(one for one in COLUMNS if _ORDER[one.since] <= _ORDER[version])
