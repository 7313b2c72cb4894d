from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from desk import BUDGET, DOMAIN, Desk, FailingBlobs, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import SeededEntropy

from spark_dp.errors import BudgetExceededError, InternalError, LedgerError
from spark_dp.privacy.events import GaussianEvent, SelectionEvent
from spark_dp.privacy.scoring import Candidate, l1_distance
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

SHARE = BUDGET.rho / 4
STOP = Candidate(clique=(), estimate=None)


def flat(*clique: str, value: float = 0.0, **rest) -> Candidate:
    return Candidate(clique=clique, estimate=np.full(DOMAIN.shape(clique), value), **rest)


def test_every_cell_of_the_declared_domain_is_noised(desk: Desk):
    domain = Domain(("cell",), (10_000,))
    joint = np.zeros(10_000, dtype=np.int64)
    joint[17] = 1
    (measured,) = desk.curator(source=Table(joint, domain), domain=domain).measure(
        "q", [("cell",)], rho=SHARE
    )
    variance = float(1 / (2 * SHARE))
    assert measured.noisy.shape == (10_000,)
    assert measured.noisy.dtype == np.int64
    assert float(measured.sigma_squared) == pytest.approx(variance)
    # 10^4 squares of the noise: a relative standard error of sqrt(2/10^4) = 1.4 %, here 5 of them.
    assert np.mean((measured.noisy - joint) ** 2.0) == pytest.approx(variance, rel=0.07)
    assert np.count_nonzero(measured.noisy) > 8_000


def test_noise_on_occupied_cells_only_would_be_noticed(desk: Desk):
    joint = np.zeros(10_000, dtype=np.int64)
    joint[17] = 1
    leaking = np.where(joint > 0, joint + 5, 0)
    assert np.mean((leaking - joint) ** 2.0) != pytest.approx(float(1 / (2 * SHARE)), rel=0.07)


@pytest.mark.parametrize(
    "contribution, l2_squared",
    [
        (Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE), 1),
        (Contribution(max_rows=5, unit=1, neighbours=Neighbours.ADD_REMOVE), 25),
        (Contribution(max_rows=5, unit=2**20, neighbours=Neighbours.REPLACE), 2 * 25 * 2**40),
    ],
)
def test_the_noise_covers_all_marginals_together_and_all_rows_of_a_unit(desk: Desk, contribution, l2_squared):
    cliques = [("a",), ("b", "c"), ()]
    measured = desk.curator(contribution=contribution).measure("q", cliques, rho=SHARE)
    assert [m.clique for m in measured] == cliques
    assert [m.noisy.shape for m in measured] == [(2,), (3, 4), ()]
    assert {m.sigma_squared for m in measured} == {3 * Fraction(l2_squared) / (2 * SHARE)}
    assert {m.unit for m in measured} == {contribution.unit}


def test_axes_come_in_the_order_that_was_asked_for(desk: Desk):
    budget = SHARE
    (measured,) = desk.curator().measure("q", [("c", "a")], rho=budget)
    exact = desk.table.marginal(("a", "c")).T
    assert measured.noisy.shape == (4, 2)
    assert np.abs(measured.noisy - exact).max() < 10 * measured.stddev


def test_a_query_over_the_budget_never_reads_the_table(desk: Desk):
    curator = desk.curator()
    curator.measure("one-way", [("a",)], rho=3 * SHARE)
    read = len(desk.table.asked)
    with pytest.raises(BudgetExceededError):
        curator.measure("pairs", [("a", "b")], rho=2 * SHARE)
    with pytest.raises(BudgetExceededError):
        curator.select("round", [flat("a")], rho=2 * SHARE)
    with pytest.raises(BudgetExceededError):
        curator.score("round", [flat("a")], rho=2 * SHARE)
    assert len(desk.table.asked) == read
    assert len(desk.files("specifications")) == 1
    assert curator.remaining == SHARE


def test_a_query_for_all_that_is_left_reads_the_table(desk: Desk):
    curator = desk.curator()
    curator.measure("one-way", [("a",)], rho=3 * SHARE)
    curator.measure("pairs", [("a", "b")], rho=SHARE)
    assert desk.table.asked == [(("a",),), (("a", "b"),)]
    assert curator.remaining == 0


def test_a_selection_charges_no_more_than_it_was_given(desk: Desk):
    curator = desk.curator()
    assert curator.select("round", [flat("a"), flat("b")], rho=SHARE) in {("a",), ("b",)}
    spent = BUDGET.rho - curator.remaining
    assert SHARE * (1 - Fraction(1, 2**50)) < spent <= SHARE


def test_a_selection_finds_the_worst_estimate(desk: Desk):
    exact = desk.table.marginal(("a", "b")).astype(np.float64)
    candidates = [
        Candidate(clique=("a", "b"), estimate=exact),
        flat("a", "c", value=-(10.0**6)),
        Candidate(clique=("b", "c"), estimate=desk.table.marginal(("b", "c")).astype(np.float64)),
    ]
    assert desk.curator().select("round", candidates, rho=SHARE) == ("a", "c")


def test_a_bias_and_a_weight_of_zero_count(desk: Desk):
    curator = desk.curator()
    assert curator.select("bias", [flat("a", bias=10.0**7), flat("b")], rho=SHARE) == ("b",)
    heavy = [flat("a", value=-(10.0**6), weight=Fraction(0)), flat("b", value=-(10.0**6), weight=2)]
    assert curator.select("weight", heavy, rho=SHARE) == ("b",)


def test_a_mechanism_may_decline(desk: Desk):
    curator = desk.curator()
    assert curator.select("stop", [STOP, flat("a", bias=10.0**7)], rho=SHARE) is None
    assert curator.select("go on", [STOP, flat("a", value=-(10.0**6))], rho=SHARE) == ("a",)
    assert curator.select("only stop", [STOP], rho=SHARE) is None
    assert len(desk.table.asked) == 2


def test_l1_distances_beyond_64_bits_are_exact():
    counts = np.full(100, 2**62 - 1, dtype=np.int64)
    assert l1_distance(counts, -counts) == 100 * (2**63 - 2)
    assert l1_distance(counts, counts) == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.measure("q", [], rho=SHARE),
        lambda c: c.measure("q", [("a",), ("a",)], rho=SHARE),
        lambda c: c.measure("q", [("a", "b"), ("b", "a")], rho=SHARE),
        lambda c: c.measure("q", [("a", "a")], rho=SHARE),
        lambda c: c.measure("q", [("a",)], rho=Fraction(0)),
        lambda c: c.measure("q", [("a",)], rho=0.01),
        lambda c: c.measure("q", [("a",)], rho=Fraction(1, 2**100)),
        lambda c: c.select("q", [], rho=SHARE),
        lambda c: c.select("q", [flat("a"), flat("a")], rho=SHARE),
        lambda c: c.select("q", [flat("a", value=float("nan"))], rho=SHARE),
        lambda c: c.select("q", [flat("a", value=float("inf"))], rho=SHARE),
        lambda c: c.select("q", [flat("a", bias=float("nan"))], rho=SHARE),
        lambda c: c.select("q", [flat("a", weight=-1)], rho=SHARE),
        lambda c: c.select("q", [flat("a", weight=0.5)], rho=SHARE),
        lambda c: c.select("q", [Candidate(clique=("a",), estimate=np.zeros(3))], rho=SHARE),
        lambda c: c.select("q", [Candidate(clique=("a",), estimate=None)], rho=SHARE),
        lambda c: c.score("q", [], rho=SHARE),
        lambda c: c.score("q", [flat("a"), flat("a")], rho=SHARE),
        lambda c: c.score("q", [STOP], rho=SHARE),
        lambda c: c.score("q", [flat("a", bias=1.0)], rho=SHARE),
        lambda c: c.score("q", [flat("a", weight=0)], rho=SHARE),
        lambda c: c.score("q", [flat("a", weight=Fraction(3, 2))], rho=SHARE),
        lambda c: c.score("q", [flat("a", value=float("nan"))], rho=SHARE),
        lambda c: c.score("q", [flat("a")], rho=Fraction(0)),
    ],
)
def test_a_query_that_is_not_valid_costs_and_reads_nothing(desk: Desk, ask):
    curator = desk.curator()
    with pytest.raises(InternalError):
        ask(curator)
    assert not desk.table.asked
    assert curator.remaining == BUDGET.rho


class Spoilt(Table):
    def __init__(self, table: Table, spoil) -> None:
        super().__init__(table.joint, table.domain)
        self.spoil = spoil

    def count(self, cliques):
        counts = super().count(cliques)
        return counts | {cliques[0]: self.spoil(counts[cliques[0]])}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda exact: exact.astype(np.float64),
        lambda exact: exact.astype(np.int32),
        lambda exact: exact.tolist(),
        lambda exact: None,
        lambda exact: exact[:1],
        lambda exact: np.concatenate([exact[:1] + exact[1:] + 1, [-1]]),
        lambda exact: exact + 1,
        lambda exact: np.array([2**62, 2**62]),
    ],
)
def test_counts_that_cannot_be_counts_are_refused_before_a_draw(desk: Desk, spoil):
    curator = desk.curator(source=Spoilt(desk.table, spoil))
    with pytest.raises(InternalError, match="Nothing was drawn") as caught:
        curator.measure("q", [("a",), ("b",)], rho=SHARE)
    assert not desk.files("answers")
    assert not any(str(count) in caught.value.message for count in desk.table.marginal(("a",)))


def test_counts_of_an_empty_table_are_answered(desk: Desk):
    empty = Table(np.zeros((2, 3, 4), dtype=np.int64))
    (measured,) = desk.curator(source=empty).measure("q", [("a",)], rho=SHARE)
    assert measured.noisy.shape == (2,)


def test_a_curator_shows_and_hands_over_nothing(desk: Desk):
    curator = desk.curator()
    curator.measure("q", [("a",)], rho=SHARE)
    assert repr(curator) == "Curator()"
    assert {name for name in dir(curator) if not name.startswith("_")} == {
        "accounting",
        "contribution",
        "domain",
        "measure",
        "remaining",
        "score",
        "select",
    }
    for hand_over in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(InternalError):
            hand_over(curator)


def test_what_is_returned_was_read_back_from_the_folder(desk: Desk):
    (measured,) = desk.curator().measure("q", [("a",)], rho=SHARE)
    (file,) = desk.files("answers")
    with np.load(file, allow_pickle=False) as archive:
        assert np.array_equal(archive["array_0"], measured.noisy)


class TornBlobs(FailingBlobs):
    """A real folder that keeps only a part of an answer, and says that it kept it."""

    def write(self, name: str, content: bytes) -> None:
        self.inner.write(name, content[:-1] if name.startswith(self.prefix) else content)


def test_an_answer_that_cannot_be_read_back_is_not_released_and_not_the_answer(desk: Desk):
    torn = TornBlobs(desk.blobs(), "write", "answers")
    with pytest.raises(LedgerError, match="altered"):
        desk.curator(blobs=torn).measure("q", [("a",)], rho=SHARE)
    (measured,) = desk.curator().measure("q", [("a",)], rho=SHARE)
    assert np.array_equal(desk.curator().measure("q", [("a",)], rho=SHARE)[0].noisy, measured.noisy)
    assert desk.spent() == BUDGET.rho


def test_the_same_run_gives_the_same_answers_without_reading_the_table(desk: Desk):
    def ask():
        curator = desk.curator()
        (measured,) = curator.measure("q", [("a", "b")], rho=SHARE)
        chosen = curator.select("s", [flat("a"), flat("b"), flat("c"), STOP], rho=SHARE)
        return measured.noisy.tolist(), chosen, curator.remaining

    first = ask()
    read = len(desk.table.asked)
    assert [ask() for _ in range(3)] == [first] * 3
    assert len(desk.table.asked) == read
    assert desk.spent() == BUDGET.rho


def test_another_run_draws_anew(desk: Desk):
    draws = [desk.curator(key).measure("q", [("b", "c")], rho=SHARE)[0].noisy for key in ("one", "two")]
    assert not np.array_equal(*draws)
    assert desk.spent() == 2 * BUDGET.rho


def test_a_replay_uses_the_stored_query_and_not_recomputed_floats(desk: Desk):
    estimate = np.full(2, 3.0)
    original = desk.curator().select("s", [flat("b"), Candidate(clique=("a",), estimate=estimate)], rho=SHARE)
    curator = desk.curator()
    moved = Candidate(clique=("a",), estimate=np.full(2, 3.5))
    assert curator.select("s", [moved, flat("b")], rho=SHARE * 2) == original
    assert BUDGET.rho - curator.remaining <= SHARE


def test_a_replay_that_asks_something_else_is_refused(desk: Desk):
    desk.curator().measure("q", [("a",)], rho=SHARE)
    with pytest.raises(LedgerError, match="another path"):
        desk.curator().measure("r", [("a",)], rho=SHARE)
    with pytest.raises(LedgerError, match="another path"):
        desk.curator().select("q", [flat("a")], rho=SHARE)


@pytest.mark.parametrize(
    "ask",
    [
        lambda curator: curator.measure("q", [("a",), ("b",)], rho=SHARE),
        lambda curator: curator.select("q", [flat("a"), flat("b")], rho=SHARE),
        lambda curator: curator.score("q", [flat("a"), flat("b")], rho=SHARE),
    ],
)
def test_a_replay_under_another_contribution_is_refused(desk: Desk, ask):
    ask(desk.curator())
    five = Contribution(max_rows=5, unit=1, neighbours=Neighbours.ADD_REMOVE)
    curator = desk.curator(contribution=five)
    assert (curator.domain, curator.contribution) == (DOMAIN, five)
    with pytest.raises(LedgerError, match="altered"):
        ask(curator)
    ask(desk.curator())


queries = st.lists(
    st.tuples(
        st.booleans(), st.integers(1, 7), st.fractions(min_value=Fraction(1, 50), max_value=Fraction(1, 2))
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queries)
def test_whatever_is_asked_a_run_never_draws_more_than_it_reserved(desk: Desk, asked):
    key = f"run-{len(desk.ledger.history('flights'))}"
    curator = desk.curator(key, entropy=SeededEntropy(5))
    cliques = [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ()]
    answered = 0
    for number, (selects, width, share) in enumerate(asked):
        read = len(desk.table.asked)
        try:
            if selects:
                curator.select(
                    f"{number}",
                    [flat(*clique) for clique in cliques[: width - 1]] + [STOP],
                    rho=share * BUDGET.rho,
                )
            else:
                curator.measure(f"{number}", cliques[:width], rho=share * BUDGET.rho)
            answered += 1
        except BudgetExceededError:
            assert len(desk.table.asked) == read
    run = desk.ledger.history("flights")[-1]
    drawn = Fraction(0)
    for query in run.queries:
        assert isinstance(query.event, GaussianEvent | SelectionEvent)
        drawn += query.event.rho
    assert len(run.queries) == answered
    assert drawn == BUDGET.rho - curator.remaining <= run.rho == BUDGET.rho
