"""Budgets."""

from decimal import Decimal

import factory

from costs.models import Budget, BudgetChange
from tests.factories.accounts import OrganizationFactory


class BudgetFactory(factory.django.DjangoModelFactory[Budget]):
    """$100 a month for the whole organisation."""

    class Meta:
        model = Budget

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Budget {n}")
    scope = "organization"
    period = "monthly"
    amount_usd = Decimal(100)
    thresholds = factory.LazyFunction(lambda: [50, 80])

    class Params:
        rolling = factory.Trait(period="rolling", rolling_days=7)


class BudgetChangeFactory(factory.django.DjangoModelFactory[BudgetChange]):
    """A limit that held from an instant on."""

    class Meta:
        model = BudgetChange

    budget = factory.SubFactory(BudgetFactory)
    amount_usd = Decimal(100)
