"""The only holder of exact counts, and the only door between them and everything else.

Each query goes through the same steps, in this order:

    specify   what will be asked, rounded to rationals, persisted
    reserve   its cost, in the ledger
    read      the exact counts
    draw      the noisy answer, from the operating system's randomness
    persist   the answer
    mark      it as the answer, in the ledger
    return    what is read back from the persisted answer

A crash before `mark` released nothing: the same charge then gives one answer. A crash after it gives that
same answer again, and the counts are not read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.answers import Blobs
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.events import Event, SelectionEvent
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.noise import check_sigma_squared
from spark_dp.privacy.queries import (
    MeasureSpecification,
    ScoredCandidate,
    ScoreSpecification,
    SelectSpecification,
)
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.scoring import (
    Candidate,
    NoisyDistance,
    exact_sum,
    round_candidates,
    score,
    weighted_distance,
)
from spark_dp.privacy.selection import exponential_mechanism
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.privacy.transcript import Transcript, altered
from spark_dp.schema.domain import Clique, Domain

_LARGEST_COUNT: Final = 2**62


class MarginalSource(Protocol):
    """Counts exactly. SENSITIVE: only a curator calls it."""

    def count(self, cliques: Sequence[Clique]) -> Mapping[Clique, NDArray[np.int64]]:
        """Returns each clique's marginal in fixed point: int64, domain.shape(clique), empty cells included.

        Sensitivity: a unit moves each array by at most Contribution.weight in L1.
        """
        ...


class Curator:
    """Answers queries with noise, within what its run has reserved.

    Guarantees: whatever is asked, and however it depends on earlier answers, all that is returned is a
    function of outputs of one `account.rho`-zCDP mechanism with respect to `contribution`, which is
    sqrt(2 `account.rho`)-Gaussian-DP as well where the account's accounting is Gaussian, provided that the source
    keeps its sensitivity. Every query is charged before the counts are read; what would exceed
    the account is refused before that. No method, attribute or message gives an exact count. Each process
    draws from the operating system, so that neither a fork nor a seed repeats a draw.

    Not thread-safe: the queries of a run are asked one after another, in the same order when it is resumed.

    Args:
        domain: declared.
        contribution: what bounding guarantees about a unit; every sensitivity comes from it.
        source: the exact counts.
        account: what may be spent.
        answers: the run's private state; holds specifications and answers.
        entropy: the operating system's, except in tests.
        drawn: told how many cells of a query have their noise, of how many: declared numbers, both.
        transcript: of the run so far, where other queries were asked before these; else a new one.
    """

    __slots__ = ("_accounting", "_contribution", "_domain", "_drawn", "_entropy", "_source", "_transcript")

    def __init__(
        self,
        *,
        domain: Domain,
        contribution: Contribution,
        source: MarginalSource,
        account: RunAccount,
        answers: Blobs,
        entropy: Entropy = OS_ENTROPY,
        drawn: Callable[[int, int], None] = lambda *_: None,
        transcript: Transcript | None = None,
    ) -> None:
        self._domain = domain
        self._drawn = drawn
        self._contribution = contribution
        self._accounting = account.accounting
        self._source = source
        self._transcript = Transcript(account, answers) if transcript is None else transcript
        self._entropy = entropy

    def __repr__(self) -> str:
        return "Curator()"

    def __reduce__(self) -> NoReturn:
        raise InternalError("A curator stays in the process that made it: it holds exact counts.")

    @property
    def domain(self) -> Domain:
        return self._domain

    @property
    def contribution(self) -> Contribution:
        return self._contribution

    @property
    def accounting(self) -> Accounting:
        """What a rho is measured in, and which law the noise has."""
        return self._accounting

    @property
    def remaining(self) -> Fraction:
        """The rho that is left of the run after the queries asked so far, the same when they are replayed."""
        return self._transcript.remaining

    def measure(self, name: str, cliques: Sequence[Clique], *, rho: Fraction) -> tuple[Measurement, ...]:
        """Measures marginals jointly, all with the same noise scale, in every cell.

        Guarantees: rho-zCDP, by noise with sigma^2 = D^2 / (2 rho), where D is the L2 sensitivity of all the
        marginals together: the discrete Gaussian (Canonne, Kamath, Steinke 2020, Theorem 14), or, in the Gaussian
        accounting, the rounded one, which is sqrt(2 rho)-Gaussian-DP as well.

        Args:
            name: of the query; the same when the run is resumed.
            cliques: distinct, at least one.
            rho: positive, exact.

        Returns:
            One measurement for each clique, in their order. A resumed run gets the stored query's.

        Raises:
            RhoExceededError: rho is more than remains. Nothing was read or drawn.
            LedgerError: the run's records are missing, altered, or another query's.
            InternalError: an argument or the source's counts are not valid. Nothing was drawn.
        """
        asked = self._specify_measure(name, cliques, rho)
        record, content = self._transcript.reserve(
            name, "measure", asked.to_bytes(), self._joint_event(asked)
        )
        stored = MeasureSpecification.from_bytes(content)
        l2_squared = self._contribution.marginals_l2_squared(len(stored.cliques))
        if (stored.name, stored.l2_squared, self._joint_event(stored)) != (name, l2_squared, record.event):
            raise altered(record, "specification")
        values = self._transcript.recall(record)
        if values is None:
            values = self._transcript.settle(record, self._draw_measure(stored))
        shapes = [self._domain.shape(clique) for clique in stored.cliques]
        if [value.shape for value in values] != shapes:
            raise altered(record, "answer")
        return tuple(
            Measurement(
                clique=clique,
                noisy=noisy,
                sigma_squared=stored.sigma_squared,
                unit=stored.unit,
                query=name,
                law=self._accounting.noise,
            )
            for clique, noisy in zip(stored.cliques, values, strict=True)
        )

    def select(self, name: str, candidates: Sequence[Candidate], *, rho: Fraction) -> Clique | None:
        """Selects the candidate whose estimate is worst, by the exponential mechanism.

        Guarantees: epsilon^2 / 8-zCDP (Cesar and Rogers 2021), and sqrt(pi / 8) epsilon-Gaussian-DP, where epsilon
        is rounded down so that the account's accounting charges at most rho. The sensitivity is that of the largest
        weight, in exact arithmetic.

        Args:
            name: of the query; the same when the run is resumed.
            candidates: distinct; chosen from the declared domain and earlier outputs only.
            rho: positive, exact.

        Returns:
            The chosen clique; None where the candidate that stops was chosen.

        Raises:
            RhoExceededError: rho is more than remains. Nothing was read or drawn.
            LedgerError: the run's records are missing, altered, or another query's.
            InternalError: an argument or the source's counts are not valid. Nothing was drawn.
        """
        asked = self._specify_select(name, candidates, rho)
        record, content = self._transcript.reserve(
            name, "select", asked.to_bytes(), SelectionEvent(epsilon=asked.epsilon)
        )
        stored = SelectSpecification.from_bytes(content)
        sensitivity = self._score_sensitivity(stored.candidates)
        event = SelectionEvent(epsilon=stored.epsilon)
        if (stored.name, stored.sensitivity, event) != (name, sensitivity, record.event):
            raise altered(record, "specification")
        values = self._transcript.recall(record)
        if values is None:
            values = self._transcript.settle(record, self._draw_select(stored))
        if len(values) != 1 or values[0].shape != () or not 0 <= int(values[0]) < len(stored.candidates):
            raise altered(record, "answer")
        return stored.candidates[int(values[0])].clique

    def score(
        self, name: str, candidates: Sequence[Candidate], *, rho: Fraction
    ) -> tuple[NoisyDistance, ...]:
        """Measures jointly how far all candidates' estimates are from their marginals, in L1.

        Guarantees: rho-zCDP, by the same noise as `measure`, on integers: weight * distance in fixed
        point, whose joint L2 sensitivity is `Contribution.scores_l2_squared` (docs/privacy.md, section 4).

        Args:
            name: of the query; the same when the run is resumed.
            candidates: distinct, none that stops, with no bias and integer weights of at least 1; a larger weight
                gets a more accurate distance, at the others' expense. Chosen from the declared domain
                and earlier outputs only.
            rho: positive, exact.

        Returns:
            One distance for each candidate, in their order. A resumed run gets the stored query's.

        Raises:
            RhoExceededError: rho is more than remains. Nothing was read or drawn.
            LedgerError: the run's records are missing, altered, or another query's.
            InternalError: an argument or the source's counts are not valid. Nothing was drawn.
        """
        asked = self._specify_score(name, candidates, rho)
        record, content = self._transcript.reserve(name, "score", asked.to_bytes(), self._joint_event(asked))
        stored = ScoreSpecification.from_bytes(content)
        l2_squared = self._contribution.scores_l2_squared(stored.weights)
        if (stored.name, stored.l2_squared, self._joint_event(stored)) != (name, l2_squared, record.event):
            raise altered(record, "specification")
        values = self._transcript.recall(record)
        if values is None:
            values = self._transcript.settle(record, self._draw_score(stored))
        if [value.shape for value in values] != [(len(stored.candidates),)]:
            raise altered(record, "answer")
        stddev = math.sqrt(stored.sigma_squared) / stored.unit
        return tuple(
            NoisyDistance(
                clique=c.clique or (), rows=int(noisy) / (stored.unit * weight), stddev=stddev / weight
            )
            for c, noisy, weight in zip(stored.candidates, values[0], stored.weights, strict=True)
        )

    # specify ---------------------------------------------------------------------------------------------

    def _specify_measure(self, name: str, cliques: Sequence[Clique], rho: Fraction) -> MeasureSpecification:
        _require_rho(name, rho)
        distinct = tuple(tuple(clique) for clique in cliques)
        if not distinct or len({frozenset(clique) for clique in distinct}) != len(distinct):
            raise InternalError(
                f"Query {name!r} needs distinct cliques, at least one. Nothing was spent or drawn."
            )
        if any(len(set(clique)) != len(clique) for clique in distinct):
            raise InternalError(
                f"Query {name!r} has a clique with an attribute twice. Nothing was spent or drawn."
            )
        for clique in distinct:
            self._domain.shape(clique)  # refuses unknown attributes
        l2_squared = self._contribution.marginals_l2_squared(len(distinct))
        sigma_squared = Fraction(l2_squared) / (2 * rho)
        check_sigma_squared(sigma_squared)
        return MeasureSpecification(
            name=name,
            cliques=distinct,
            sigma_squared=sigma_squared,
            l2_squared=l2_squared,
            unit=self._contribution.unit,
        )

    def _specify_select(
        self, name: str, candidates: Sequence[Candidate], rho: Fraction
    ) -> SelectSpecification:
        _require_rho(name, rho)
        rounded = round_candidates(candidates, self._domain, self._contribution.unit)
        return SelectSpecification(
            name=name,
            candidates=rounded,
            epsilon=self._accounting.selection_epsilon(rho),
            sensitivity=self._score_sensitivity(rounded),
        )

    def _specify_score(self, name: str, candidates: Sequence[Candidate], rho: Fraction) -> ScoreSpecification:
        _require_rho(name, rho)
        rounded = round_candidates(candidates, self._domain, self._contribution.unit)
        if any(c.clique is None or c.bias or c.weight < 1 or c.weight.denominator != 1 for c in rounded):
            raise InternalError(
                f"Query {name!r} scores estimates with whole weights of at least 1 and no bias. Nothing was "
                "spent or drawn."
            )
        l2_squared = self._contribution.scores_l2_squared([int(c.weight) for c in rounded])
        sigma_squared = Fraction(l2_squared) / (2 * rho)
        check_sigma_squared(sigma_squared)
        return ScoreSpecification(
            name=name,
            candidates=rounded,
            sigma_squared=sigma_squared,
            l2_squared=l2_squared,
            unit=self._contribution.unit,
        )

    def _joint_event(self, specification: MeasureSpecification | ScoreSpecification) -> Event:
        return self._accounting.noise.event(specification.l2_squared / specification.sigma_squared)

    def _score_sensitivity(self, candidates: Sequence[ScoredCandidate]) -> Fraction:
        return self._contribution.score(max(candidate.weight for candidate in candidates))

    # read, draw ------------------------------------------------------------------------------------------

    def _draw_measure(self, specification: MeasureSpecification) -> tuple[NDArray[np.int64], ...]:
        """Adds noise to every cell of the declared domain, empty ones included."""
        counts = self._read_counts(specification.cliques)
        noisy, done, cells = [], 0, sum(map(self._domain.cells, specification.cliques))
        for clique in specification.cliques:
            exact = counts[clique]
            noise = self._accounting.noise.draw(specification.sigma_squared, exact.size, self._entropy)
            noisy.append(np.asarray(exact + noise.reshape(exact.shape)))
            done += exact.size
            self._drawn(done, cells)
        return tuple(noisy)

    def _draw_select(self, specification: SelectSpecification) -> tuple[NDArray[np.int64], ...]:
        cliques = tuple(c.clique for c in specification.candidates if c.clique is not None)
        counts = self._read_counts(cliques) if cliques else {}
        scores = [score(c, None if c.clique is None else counts[c.clique]) for c in specification.candidates]
        chosen = exponential_mechanism(
            scores, specification.epsilon, specification.sensitivity, self._entropy
        )
        return (np.array(chosen, dtype=np.int64),)

    def _draw_score(self, specification: ScoreSpecification) -> tuple[NDArray[np.int64], ...]:
        """Adds noise to every distance at once."""
        cliques = tuple(c.clique or () for c in specification.candidates)
        counts = self._read_counts(cliques)
        exact = np.array(
            [
                weighted_distance(candidate, counts[clique])
                for candidate, clique in zip(specification.candidates, cliques, strict=True)
            ],
            dtype=np.int64,
        )
        noise = self._accounting.noise.draw(specification.sigma_squared, exact.size, self._entropy)
        return (np.asarray(exact + noise),)

    def _read_counts(self, cliques: Sequence[Clique]) -> dict[Clique, NDArray[np.int64]]:
        """Reads the exact counts, and refuses what cannot be counts of one bounded table."""
        counted = self._source.count(cliques)
        counts: dict[Clique, NDArray[np.int64]] = {}
        totals = set()
        for clique in cliques:
            exact = counted.get(clique)
            if not isinstance(exact, np.ndarray) or exact.dtype != np.int64:
                raise InternalError(f"The source did not count {clique} in int64. Nothing was drawn.")
            if exact.shape != self._domain.shape(clique):
                raise InternalError(f"The source counted {clique} in a wrong shape. Nothing was drawn.")
            total = exact_sum(exact)
            if int(exact.min()) < 0 or total >= _LARGEST_COUNT:
                raise InternalError(
                    f"The source's counts of {clique} are negative or too large. Nothing was drawn."
                )
            totals.add(total)
            counts[clique] = exact
        if len(totals) > 1:
            raise InternalError("The source's marginals disagree about their total. Nothing was drawn.")
        return counts


def _require_rho(name: str, rho: Fraction) -> None:
    if not isinstance(rho, Fraction) or rho <= 0:
        raise InternalError(
            f"Query {name!r} needs rho as a positive Fraction. Nothing was spent and nothing was drawn."
        )
