"""Which marginals to measure together, so that the workload's expected error becomes least."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.junction_tree import GrowingTree
from spark_dp.graphical.projected_noise import Profile, unprojected_noise
from spark_dp.mechanisms.candidates import Overlaps, cells_of
from spark_dp.mechanisms.chains import Chains, Reached
from spark_dp.privacy.scoring import NoisyDistance
from spark_dp.schema.domain import Attribute, Clique, Domain

_GROWTH: Final = 1.3
_FEWEST_TO_SHRINK: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Marginals that are worth measuring jointly.

    Attributes:
        cliques: in the order in which they were found worth it.
        sigma: the noise of each, in rows, if they share evenly.
        gain: by how much the workload's error is expected to fall, in weighted rows of L1.
    """

    cliques: tuple[Clique, ...]
    sigma: float
    gain: float


NOTHING: Final = Choice(cliques=(), sigma=0.0, gain=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Situation:
    """All that a choice depends on: earlier outputs and declared facts.

    Attributes:
        domain: of the table.
        overlaps: of the workload with the candidates.
        profiles: of the candidates' marginals by the model so far.
        distances: how far the model is from the candidates' marginals, with noise.
        precisions: 1 / sigma^2 of what was measured before, by clique.
        measured: what the model holds already.
        rows: that there are, about.
        max_cells: the most cells that the model may have.
    """

    domain: Domain
    overlaps: Overlaps
    profiles: Mapping[Clique, Profile]
    distances: Sequence[NoisyDistance]
    precisions: Mapping[Clique, float]
    measured: Sequence[Clique]
    rows: float
    max_cells: int

    def choose(self, sigma_of_one: float) -> Choice:
        """Returns the set that is expected to help most, whose budget gives one marginal alone this noise.

        How many share the budget decides the noise, and the noise what is worth it; so sets are
        built for one marginal, two, three and so on in growing steps, each by taking the marginal that helps most
        until as many are chosen or none helps, and the best set is kept.
        """
        best, number = NOTHING, 0
        energies = self.energies()
        chains = self._chains(energies)
        while number < len(self.profiles):
            number = min(ceil(number * _GROWTH) or 1, len(self.profiles))
            found = self._build(energies, chains, sigma_of_one * sqrt(number), number)
            if found.gain > best.gain:
                best = found
            if len(found.cliques) < number:
                break
        return best

    def energies(self) -> NDArray[np.float64]:
        """Returns the squared L1 error of the model in every clique that matters, best guesses from noisy distances.

        Squares, because they add up about as information does (Pinsker): what is left of a clique's error when a part
        of it becomes right is the difference. A clique whose distance is not known gets that of a tree of
        its own pairs.
        """
        for distance in self.distances:
            self.overlaps.affected(distance.clique)
        known = {d.clique: d for d in shrunk(self.domain, self.distances)}
        most = 2 * self.rows
        found = np.zeros(len(self.overlaps.cliques))
        for number, clique in enumerate(self.overlaps.cliques):
            if clique in known:
                found[number] = min(max(known[clique].rows, 0.0), most) ** 2
        for number, clique in enumerate(self.overlaps.cliques):
            if clique not in known and len(clique) > 1:
                pairs = [self.overlaps.known(pair) for pair in combinations(clique, 2)]
                within = sorted((found[pair] for pair in pairs if pair is not None), reverse=True)
                found[number] = min(sum(within[: len(clique) - 1]), most**2)
        return found

    def _chains(self, energies: NDArray[np.float64]) -> Chains:
        """Returns what pairs tell of one another, of those whose distance is known."""
        pairs = [pair for pair in combinations(self.domain, 2) if self.overlaps.known(pair) is not None]
        return Chains(
            self.domain.attributes,
            pairs,
            energies[[self.overlaps.number(pair) for pair in pairs]],
            [self._spread(attribute) for attribute in self.domain],
            self.rows,
        )

    def _spread(self, attribute: Attribute) -> float:
        """Returns one less the sum of the squared shares of a column's values; that of even ones where nothing is known."""
        profile = self.profiles.get((attribute,))
        total = 0.0 if profile is None else float((profile.cells * profile.rows).sum())
        if profile is None or total <= 0:
            return 1.0 - 1.0 / self.domain.size(attribute)
        return 1.0 - float((profile.cells * np.square(profile.rows)).sum()) / total**2

    def _build(self, energies: NDArray[np.float64], chains: Chains, sigma: float, number: int) -> Choice:
        """Takes the most helpful marginal again and again; how much others help is renewed only when one leads."""
        build = _Build(self, energies.copy(), chains, sigma)
        heap = [(-build.gain(clique)[0], index, 0) for index, clique in enumerate(self.profiles)]
        heapq.heapify(heap)
        cliques = tuple(self.profiles)
        chosen: list[Clique] = []
        total = 0.0
        while heap and len(chosen) < number:
            loss, index, seen = heapq.heappop(heap)
            if loss >= 0:
                break
            if seen < len(chosen):
                heapq.heappush(heap, (-build.gain(cliques[index])[0], index, len(chosen)))
            elif build.take(cliques[index]):
                chosen.append(cliques[index])
                total -= loss
        return Choice(cliques=tuple(chosen), sigma=sigma, gain=total + build.gained_in_chains)


class _Build:
    """A set in the making: the errors that are left, and the model that it needs."""

    def __init__(
        self, situation: Situation, energies: NDArray[np.float64], chains: Chains, sigma: float
    ) -> None:
        self.gained_in_chains = 0.0
        self._reached = Reached(chains, belief=chains.belief)
        self._pairs = np.array([situation.overlaps.number(pair) for pair in chains.number], dtype=np.intp)
        self._situation = situation
        self._energies = energies
        self._sigma = sigma
        self._held = list(situation.measured)
        self._tree = GrowingTree(situation.domain, self._held)
        self._cells = cells_of(situation.domain, situation.overlaps.cliques)
        self._weights = np.zeros(len(energies))
        self._weights[situation.overlaps.wanted] = situation.overlaps.weights
        self._noise: dict[Clique, tuple[float, float]] = {}

    def gain(self, clique: Clique) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
        """Returns by how much the workload's error falls with the clique, which errors change, and to what.

        A clique of the workload that shares a part with it loses the part's error, and gets the part's noise.
        """
        affected, shared = self._situation.overlaps.affected(clique)
        noise, sigma = self._noise_of(clique)
        cells = float(self._situation.domain.cells(clique))
        of_part = np.minimum(unprojected_noise(1.0, sigma) * np.sqrt(self._cells[shared] * cells), noise)
        before = self._energies[affected]
        after = np.maximum(before - self._energies[shared], 0.0) + of_part**2
        change = self._weights[affected] * (np.sqrt(before) - np.sqrt(after))
        return float(change.sum()), affected, after

    def take(self, clique: Clique) -> bool:
        """Adds the clique, unless the model would become too large."""
        if self._tree.cells_with(clique) > self._situation.max_cells:
            return False
        # A clique within the tree adds edges that elimination had filled in, after which another order may be found.
        grown = GrowingTree(self._situation.domain, (*self._held, clique))
        if grown.cells > self._situation.max_cells:
            return False
        _, affected, after = self.gain(clique)
        # The parts that it shares, itself among them, are right now but for its noise.
        _, shared = self._situation.overlaps.affected(clique)
        noise, _ = self._noise_of(clique)
        self._energies[affected] = after
        self._energies[shared] = np.minimum(self._energies[shared], noise**2)
        self._tree = grown
        self._held.append(clique)
        self._follow_chains(clique)
        return True

    def _follow_chains(self, clique: Clique) -> None:
        """Takes what chains through the clique explain off the errors of the pairs that they join."""
        explained = self._reached.explained_by(clique)
        before = self._energies[self._pairs]
        after = np.maximum(before - explained, 0.0)
        self._energies[self._pairs] = after
        self.gained_in_chains += float(
            (self._weights[self._pairs] * (np.sqrt(before) - np.sqrt(after))).sum()
        )

    def _noise_of(self, clique: Clique) -> tuple[float, float]:
        """Returns the L1 noise of the clique after projection, and its scale, with what was measured before."""
        if clique not in self._noise:
            earlier = self._situation.precisions.get(clique, 0.0)
            sigma = 1 / sqrt(1 / self._sigma**2 + earlier)
            self._noise[clique] = self._situation.profiles[clique].noise(sigma), sigma
        return self._noise[clique]


def shrunk(domain: Domain, distances: Sequence[NoisyDistance]) -> tuple[NoisyDistance, ...]:
    """Pulls noisy distances towards what cliques of their degree and size have: empirical Bayes.

    The largest of many noisy numbers is large by its noise above all. Within a degree, distances are regressed on
    the logarithm of the cells; what is left is shrunk by the part of its variance that the known noise explains.
    """
    found = list(distances)
    for degree in {len(d.clique) for d in distances}:
        places = [i for i, d in enumerate(distances) if len(d.clique) == degree]
        if len(places) < _FEWEST_TO_SHRINK:
            continue
        rows = np.array([distances[i].rows for i in places])
        size = np.log([domain.cells(distances[i].clique) for i in places])
        design = np.stack([np.ones_like(size), size - size.mean()], axis=1)
        fitted = design @ np.linalg.lstsq(design, rows, rcond=None)[0]
        spread = float(np.square(rows - fitted).sum()) / (len(places) - 2)
        noise = float(np.mean([distances[i].stddev ** 2 for i in places]))
        kept = max(0.0, 1 - noise / spread) if spread > 0 else 0.0
        for i, value in zip(places, fitted + kept * (rows - fitted), strict=True):
            d = distances[i]
            found[i] = NoisyDistance(clique=d.clique, rows=float(value), stddev=d.stddev)
    return tuple(found)
