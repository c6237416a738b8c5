"""Prices, tiers and classes of one group: what both ledgers hold, but charge differently (pure)."""

from fractions import Fraction

from costs.reconciliation.align import ZERO
from costs.reconciliation.atoms import Atom, Group, Place
from costs.reconciliation.classes import PROMPT
from costs.reconciliation.facts import Window
from costs.reconciliation.true_prices import OTHER_TIERS, Seen, expected

NEAR = Fraction(1, 10**9)


def is_near(one: Fraction | None, other: Fraction | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= abs(other) * NEAR


class Solver:
    """Works one group through; `left` is what of the records no quantity of the bill has met yet."""

    def __init__(self, window: Window, group: Group, seen: dict[Place, Seen]) -> None:
        self.window, self.group, self.seen = window, group, seen
        self.left: dict[Place, list[Fraction]] = {}
        self.hidden: dict[Place, tuple[Fraction, Fraction]] = {}
        # Tiers that agree to the token in every class: none of their calls is billed as another's.
        self.agreeing: set[str] = set()

    def run(self) -> None:
        """Blame what is not a matter of volume; `over` of each atom is what remains."""
        for place, atom in self.group.atoms.items():
            self._round(place, atom)
            if atom.billed is None:
                self._without_quantity(place, atom)
            else:
                self._match(place, atom)
        self.agreeing = {tier for tier, _ in self.group.atoms} - {
            tier for (tier, _), atom in self.group.atoms.items() if atom.over
        }
        for token_class in sorted({name for _, name in self.group.atoms}):
            places = [p for p in sorted(self.group.atoms) if p[1] == token_class]
            self._free_lost(places)
            self._shift(places, "tier")
            self._hide_again()
        for tier in sorted({name for name, _ in self.group.atoms}):
            inside = [p for p in sorted(self.group.atoms) if p[0] == tier and p[1] in PROMPT]
            self._shift(inside, "split")
        self._shift_both()
        if self.group.loose_usd:
            self._loose()

    def _round(self, place: Place, atom: Atom) -> None:
        """What is no matter of rounding was charged at the price and the factor; a bill rounds last."""
        seen = self.seen.get(place)
        atom.price = seen.price if seen else ZERO
        fair = atom.usd if seen is None or atom.billed is None else atom.billed * atom.price
        words = {"tier": place[0], "token_class": place[1]}
        self.group.blame("rounding", (atom.usd - fair) * atom.factor, **words)
        if atom.factor_kind:
            more = fair * (atom.factor - 1)
            self.group.blame(atom.factor_kind, more, note="factor", **atom.factor_facts, **words)

    def _match(self, place: Place, atom: Atom) -> None:
        """Quantities both hold, at both prices."""
        billed, price = atom.billed or ZERO, atom.price or ZERO
        priced = min(billed, atom.priced)
        unpriced = min(billed - priced, atom.unpriced)
        self.left[place] = [atom.priced - priced, atom.unpriced - unpriced]
        atom.over = billed - atom.recorded
        common = {"tier": place[0], "token_class": place[1], "theirs": price}
        if unpriced:
            self.group.blame("missing_price", unpriced * price, tokens=unpriced, **common)
        ours = atom.our_price
        if priced and ours is not None:
            kind, more = self._kind_of_price(place, atom, ours)
            self.group.blame(
                kind, priced * (price - ours), tokens=priced, ours=ours, **common, **more
            )

    def _kind_of_price(
        self, place: Place, atom: Atom, ours: Fraction
    ) -> tuple[str, dict[str, object]]:
        if not atom.has_charge:
            # The bill's usage report has it, its money does not: paid otherwise, as priority by commitment is.
            return "tier", {"note": "not_charged"}
        if atom.stated_usd:
            return "price", {"note": "stated"}
        if atom.guessed:
            return "tier", {"note": "tier_unpriced"}
        if not is_near(atom.price, expected(self.window, self.group, place)):
            for tier in OTHER_TIERS:
                theirs = expected(self.window, self.group, (tier, place[1]))
                own = expected(self.window, self.group, (place[0] or "standard", place[1]))
                if is_near(atom.price, theirs) and not is_near(theirs, own):
                    return "tier", {"note": "price_of_tier", "to": tier}
        return "price", {}

    def _free_lost(self, places: list[Place]) -> None:
        """Tokens of another tier that calls without usage hide: a tier none of whose records lacks usage cannot hold
        more than was recorded of it, unless the provider counts more requests. What it holds beyond was recorded as
        another tier, whose surplus of lost usage then is larger than it looks."""
        group = self.group
        if not group.without_usage or (group.requests or 0) > group.calls:
            return
        hiding = [p for p in places if group.lost_by_tier.get(p[0]) and group.atoms[p].billed]
        extra = [p for p in places if not group.lost_by_tier.get(p[0]) and group.atoms[p].over > 0]
        if len(hiding) != 1 or hiding[0][0] in self.agreeing:
            return
        source = group.atoms[hiding[0]]
        wanted = sum((group.atoms[p].over for p in extra), ZERO) + min(source.over, ZERO)
        freed = min(wanted, source.priced - self.left[hiding[0]][0])
        ours = source.our_price
        if freed > 0 and ours is not None and is_near(source.price, ours):
            self.hidden[hiding[0]] = (freed, self.left[hiding[0]][0])
            self.left[hiding[0]][0] += freed
            source.over -= freed

    def _hide_again(self) -> None:
        """What was freed and did not move meets the bill's quantity as before."""
        for place, (freed, before) in self.hidden.items():
            left = self.left[place]
            moved = before + freed - left[0]
            left[0] = max(ZERO, before - moved)
            self.group.atoms[place].over += freed
        self.hidden.clear()

    def _shift(self, places: list[Place], kind: str) -> None:
        """Quantities the bill holds in one place and the records in another."""
        short = [p for p in places if self.group.atoms[p].over < 0]
        extra = [p for p in places if self.group.atoms[p].over > 0]
        for source in short:
            for target in extra:
                one, other = self.group.atoms[source], self.group.atoms[target]
                moved = min(-one.over, other.over)
                if moved > 0:
                    self._move(source, target, moved, kind)

    def _shift_both(self) -> None:
        """Prompt tokens of another class and another tier: the class first, at the recorded tier's price."""
        places = [place for place in sorted(self.group.atoms) if place[1] in PROMPT]
        for source in [place for place in places if self.group.atoms[place].over < 0]:
            for target in [place for place in places if self.group.atoms[place].over > 0]:
                one, other = self.group.atoms[source], self.group.atoms[target]
                moved = min(-one.over, other.over)
                if moved <= 0:
                    continue
                between = expected(self.window, self.group, (source[0], target[1]))
                ours, priced = one.our_price, min(moved, self.left[source][0])
                self._move(source, target, moved, "tier")
                if between is not None and ours is not None:
                    part = priced * (between - ours)
                    facts = {"tier": source[0], "token_class": source[1], "tokens": moved}
                    self.group.blame("split", part, note="moved", to=target[1], **facts)
                    self.group.blame("tier", -part, note="moved", to=target[0], **facts)

    def _move(self, source: Place, target: Place, moved: Fraction, kind: str) -> None:
        one, other = self.group.atoms[source], self.group.atoms[target]
        one.over, other.over = one.over + moved, other.over - moved
        left = self.left[source]
        priced = min(moved, left[0])
        unpriced = moved - priced
        left[0], left[1] = left[0] - priced, left[1] - unpriced
        theirs, ours = other.price or ZERO, one.our_price or ZERO
        facts = {
            "tier": source[0],
            "token_class": source[1],
            "to": target[0] if kind == "tier" else target[1],
        }
        if unpriced:
            self.group.blame(
                "missing_price", unpriced * theirs, tokens=unpriced, theirs=theirs, **facts
            )
        fair = expected(self.window, self.group, target)
        fair = theirs if fair is None or not other.has_charge else fair
        self.group.blame(
            kind,
            priced * (fair - ours),
            tokens=priced,
            ours=ours,
            theirs=fair,
            note="moved",
            **facts,
        )
        self.group.blame(
            "price", priced * (theirs - fair), tokens=priced, ours=fair, theirs=theirs,
            tier=target[0], token_class=target[1],
        )  # fmt: skip

    def _without_quantity(self, place: Place, atom: Atom) -> None:
        """Money alone: only the sums can be compared."""
        gap = atom.usd - atom.recorded_usd
        facts = {"tier": place[0], "token_class": place[1]}
        self.left[place] = [ZERO, ZERO]
        if abs(gap) <= atom.tolerance * 2:
            self.group.blame("rounding", gap, **facts)
        elif not atom.recorded and not self.group.calls:
            self.group.blame("outside", gap, note="no_calls", **facts)
        elif atom.unpriced and not atom.priced:
            self.group.blame("missing_price", gap, tokens=atom.unpriced, **facts)

    def _loose(self) -> None:
        """Recorded dollars beside the classes: the records' own rounding, or costs stated without usage."""
        slack = Fraction(max(self.group.calls, 1), 10**12)
        kind = "rounding" if abs(self.group.loose_usd) <= slack else "price"
        self.group.blame(
            kind, -self.group.loose_usd, note="records" if kind == "rounding" else "stated"
        )
