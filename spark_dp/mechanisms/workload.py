"""The workload: which marginals should be good, and how much each matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import comb
from typing import Final

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.cliques import maximal_cliques
from spark_dp.schema.domain import Attribute, Clique, Domain

TARGET_WEIGHT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Cliques whose marginals the synthetic table should keep. Declared, never learned.

    Made by `of_degree` or `of_cliques`.

    Attributes:
        domain: of the table.
        degree: all cliques of this many attributes with weight 1; None where cliques are given.
        weights: positive weights of canonical cliques; empty where a degree is given.
    """

    domain: Domain
    degree: int | None
    weights: Mapping[Clique, Fraction]

    @classmethod
    def of_degree(cls, domain: Domain, degree: int) -> Workload:
        """Returns the workload of all cliques of `degree` attributes, fewer where the domain has fewer.

        Raises:
            ConfigurationError: the degree is not a positive integer.
        """
        if type(degree) is not int or degree < 1:
            raise ConfigurationError(
                f"The workload's degree is {degree!r}. Write a whole number from 1. Nothing was spent.",
                field="mechanism.workload.degree",
            )
        return cls(domain=domain, degree=min(degree, max(len(domain), 1)), weights={})

    @classmethod
    def of_cliques(cls, domain: Domain, cliques: Iterable[tuple[Clique, Fraction | int]]) -> Workload:
        """Returns the workload of these cliques with their weights; repeated cliques add up.

        Raises:
            ConfigurationError: a clique is empty or names an unknown attribute, a weight is not positive, or
                there is no clique.
        """
        weights: dict[Clique, Fraction] = {}
        for clique, weight in cliques:
            canonical = domain.canonical(clique)
            if not canonical or weight <= 0:
                raise ConfigurationError(
                    f"The workload has the clique {list(clique)} with weight {weight}. A clique needs a "
                    "column and a weight above 0. Nothing was spent.",
                    field="mechanism.workload.cliques",
                )
            weights[canonical] = weights.get(canonical, Fraction(0)) + Fraction(weight)
        if not weights:
            raise ConfigurationError(
                "The workload has no clique. Name one, or write {degree: 2}. Nothing was spent.",
                field="mechanism.workload.cliques",
            )
        return cls(domain=domain, degree=None, weights=weights)

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The maximal cliques of the workload; of them there are many at a high degree."""
        if self.degree is not None:
            return tuple(combinations(self.domain.attributes, self.degree))
        return maximal_cliques(self.weights)

    def pair_weights(self) -> dict[Clique, Fraction]:
        """Returns how much each pair matters: the weights of the cliques that hold it, at most 1.

        A pair that no clique holds is left out. In domain order.
        """
        pairs = combinations(self.domain.attributes, 2)
        if self.degree is not None:
            return {pair: Fraction(1) for pair in pairs} if self.degree > 1 else {}
        found: dict[Clique, Fraction] = {}
        for clique, weight in self.weights.items():
            for pair in combinations(clique, 2):
                found[pair] = found.get(pair, Fraction(0)) + weight
        largest = max(found.values(), default=Fraction(1))
        return {pair: found[pair] / largest for pair in pairs if pair in found}

    def weighted(self) -> dict[Clique, Fraction]:
        """Returns every clique of the workload with its weight."""
        if self.degree is not None:
            return dict.fromkeys(self.cliques, Fraction(1))
        return dict(self.weights)

    def below(self, degree: int, *, most: int) -> tuple[Clique, ...]:
        """Returns the subsets of `degree` columns of the workload's cliques, in domain order.

        None where there would be more than `most`, or where no clique is so large.
        """
        if self.degree is not None:
            if degree > self.degree or comb(len(self.domain), degree) > most:
                return ()
            return tuple(combinations(self.domain.attributes, degree))
        found: set[Clique] = set()
        for clique in self.weights:
            if comb(len(clique), degree) + len(found) > most + len(self.weights):
                return ()
            found.update(combinations(clique, degree))
        order = {attribute: place for place, attribute in enumerate(self.domain)}
        return tuple(sorted(found, key=lambda c: [order[a] for a in c])) if len(found) <= most else ()

    def favouring(self, targets: Sequence[Attribute]) -> Workload:
        """Returns the workload in which cliques that hold a target weigh TARGET_WEIGHT times as much.

        Raises:
            ConfigurationError: a target is no column.
        """
        if not targets:
            return self
        wanted = set(self.domain.canonical(targets))
        weights = {
            clique: weight * (TARGET_WEIGHT if wanted & set(clique) else 1)
            for clique, weight in self.weighted().items()
        }
        return Workload(domain=self.domain, degree=None, weights=weights)
