"""Values are learned above a threshold only: charged before they are read, by the exact law, and replayed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
import sqlalchemy as sa
from desk import BUDGET, CrashError, Desk, FailingBlobs
from scripted import SeededEntropy
from support.kept import as_answers

from spark_dp.errors import BudgetExceededError, ConfigurationError, InternalError, LedgerError
from spark_dp.privacy.accounting import zcdp_delta
from spark_dp.privacy.budget import PrivacyBudget, RhoExceededError
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.events import ThresholdEvent, event_from_json
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.ledger_chain import Change, Deed, What, canonical, now, record
from spark_dp.privacy.ledger_schema import queries
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.sensitivity import Neighbours, values_l2_squared
from spark_dp.privacy.tails import least_threshold, noise_tail
from spark_dp.privacy.thresholds import promises_beside
from spark_dp.privacy.transcript import Transcript
from spark_dp.privacy.value_selection import ThresholdSpecification, Value, ValueCurator, specify

RHO, DELTA = Fraction(1, 200), Fraction(1, 10**10)
KEPT = PrivacyBudget(epsilon=1.0, delta=1e-9, thresholds=DELTA)
KEPT_IN_ALL = Fraction(1, 10**8)
CANARY = "canary-77aa"


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path, thresholds=KEPT_IN_ALL)


class Counts:
    """Numbers of units by value; remembers how often it was read."""

    def __init__(self, counts: Mapping[Value, int]) -> None:
        self.counts, self.reads = counts, 0

    def count(self) -> Mapping[Value, int]:
        self.reads += 1
        return self.counts


def asked(
    per_unit: int = 2,
    *,
    rho: Fraction = RHO,
    delta: Fraction = DELTA,
    most: int = 10,
    noise: NoiseLaw = NoiseLaw.DISCRETE,
) -> ThresholdSpecification:
    return specify(
        "preprocess/values/ward",
        per_unit=per_unit,
        neighbours=Neighbours.ADD_REMOVE,
        rho=rho,
        delta=delta,
        most=most,
        noise=noise,
    )


def curator(
    desk: Desk,
    source: Counts,
    *,
    account: RunAccount | None = None,
    blobs: object = None,
    entropy: Entropy = OS_ENTROPY,
) -> ValueCurator:
    held = desk.begin(budget=KEPT) if account is None else account
    return ValueCurator(source, Transcript(held, blobs or desk.blobs()), entropy=entropy)  # type: ignore[arg-type]


@pytest.mark.parametrize(("neighbours", "squared"), [(Neighbours.ADD_REMOVE, 3), (Neighbours.REPLACE, 6)])
def test_the_sensitivity_is_the_root_of_the_values_of_a_unit(neighbours, squared):
    assert values_l2_squared(3, neighbours) == squared


@pytest.mark.parametrize("per_unit", [0, -1, True, 1.0])
def test_a_sensitivity_of_no_values_is_refused(per_unit):
    with pytest.raises(InternalError):
        values_l2_squared(per_unit, Neighbours.ADD_REMOVE)


@pytest.mark.parametrize("per_unit", [1, 4])
def test_the_noise_and_the_charge_are_those_of_the_sensitivity(per_unit):
    found = asked(per_unit)
    assert found.sigma_squared == Fraction(per_unit) / (2 * RHO)
    assert found.event.rho == RHO
    assert found.event.delta == DELTA
    assert found.threshold == least_threshold(found.sigma_squared, per_unit, DELTA)
    assert ThresholdSpecification.from_bytes(found.to_bytes()) == found


def test_frequent_values_are_learned_and_those_of_few_are_not(desk):
    learned = curator(desk, Counts({"A": 5000, "B": 3000, CANARY: 1, "D": 2})).learn(asked())
    assert list(learned) == ["A", "B"]
    assert abs(learned["A"] - 5000) < 200


def test_no_more_than_asked_are_learned_the_most_frequent_ones(desk):
    learned = curator(desk, Counts({i: 2000 + 1000 * i for i in range(20)})).learn(asked(most=3))
    assert list(learned) == [17, 18, 19]


def test_what_did_not_pass_is_in_no_file(desk):
    curator(desk, Counts({"A": 5000, CANARY: 1})).learn(asked())
    files = [file for file in desk.folder.rglob("*") if file.is_file()]
    assert files
    assert not any(form in file.read_bytes() for file in files for form in as_answers(CANARY))
    assert any(
        form in file.read_bytes() for file in files for form in as_answers('"A"')
    )  # the twin: what passed


def test_an_answer_is_replayed_and_not_drawn_again(desk):
    source = Counts({"A": 5000, "B": 90})
    first = curator(desk, source).learn(asked())
    spent = desk.spent()
    assert curator(desk, source).learn(asked()) == first
    assert source.reads == 1
    assert desk.spent() == spent


@pytest.mark.parametrize("step", ["before write", "after write"])
@pytest.mark.parametrize("prefix", ["specifications", "answers"])
def test_a_crash_anywhere_gives_one_answer_at_one_charge(desk, step, prefix):
    source = Counts({"A": 5000})
    with pytest.raises(CrashError):
        curator(desk, source, blobs=FailingBlobs(desk.blobs(), step, prefix)).learn(asked())
    learned = curator(desk, source).learn(asked())
    assert curator(desk, source).learn(asked()) == learned
    assert desk.spent() == KEPT.rho
    assert desk.ledger.show("flights").spent_thresholds == DELTA
    assert source.reads == (2 if (step, prefix) == ("before write", "answers") else 1)


def test_a_query_over_the_run_is_refused_before_the_table_is_read(desk):
    source = Counts({"A": 5000})
    with pytest.raises(RhoExceededError):
        curator(desk, source).learn(asked(rho=2 * KEPT.rho))
    assert source.reads == 0


def test_a_threshold_that_the_run_kept_no_delta_for_is_refused_before_the_table_is_read(desk):
    source = Counts({"A": 5000})
    with pytest.raises(BudgetExceededError, match="delta"):
        curator(desk, source, account=desk.begin(budget=BUDGET)).learn(asked())
    assert source.reads == 0
    assert curator(desk, source, account=desk.begin("2013-W02", KEPT), blobs=desk.blobs("2013-W02")).learn(
        asked()
    )


def test_a_second_threshold_beyond_what_was_kept_is_refused(desk):
    account = desk.begin(budget=KEPT)
    source = Counts({"A": 5000})
    transcript = Transcript(account, desk.blobs())
    ValueCurator(source, transcript).learn(asked())
    with pytest.raises(BudgetExceededError, match="delta"):
        ValueCurator(source, transcript).learn(asked())
    assert source.reads == 1


def test_an_account_adds_up_the_deltas_of_its_runs_as_they_are_reserved(desk):
    for number in range(1, 4):
        desk.begin(f"run-{number}", KEPT)
        account = desk.ledger.show("flights")
        assert account.spent_thresholds == number * DELTA
        assert account.spent_rho == number * KEPT.rho
    desk.begin("without", BUDGET)
    assert desk.ledger.show("flights").spent_thresholds == 3 * DELTA


def test_a_run_that_is_given_back_gives_its_delta_back(desk):
    assert desk.begin("gone", KEPT).void_if_unanswered()
    assert desk.ledger.show("flights").spent_thresholds == 0


def test_no_run_begins_for_which_other_runs_left_no_delta(desk):
    """What a run will ask is reserved when it begins, so that none of its thresholds is refused midway."""
    desk.begin("first", PrivacyBudget(epsilon=1.0, delta=1e-6, thresholds=KEPT_IN_ALL - DELTA))
    second = desk.begin("second", KEPT)
    assert curator(desk, Counts({"A": 5000}), account=second, blobs=desk.blobs("second")).learn(asked())
    with pytest.raises(BudgetExceededError, match="has delta = 0 for those of this run, of 1e-08 in all"):
        desk.begin("third", KEPT)
    desk.begin("fourth", BUDGET)


def test_an_account_that_was_opened_without_a_part_for_them_refuses_private_values(tmp_path):
    desk = Desk(tmp_path)
    with pytest.raises(BudgetExceededError, match="--thresholds-delta"):
        desk.begin(budget=KEPT)
    assert desk.spent() == 0


@pytest.mark.parametrize("accounting", Accounting)
def test_no_answer_can_choose_between_more_rho_and_more_thresholds(tmp_path, accounting):
    """All rho and all thresholds fit into delta together: then every choice between them does."""
    desk = Desk(tmp_path, accounting=accounting, thresholds=KEPT_IN_ALL)
    account = desk.ledger.show("flights")
    worth = Fraction(accounting.delta(account.rho, account.epsilon))
    assert worth + account.thresholds <= Fraction(account.delta)
    more = PrivacyBudget(epsilon=0.1, delta=1e-6, thresholds=KEPT_IN_ALL + Fraction(1, 10**20))
    with pytest.raises(BudgetExceededError, match="private values"):  # unused rho pays for no more thresholds
        desk.begin("more thresholds", more)
    desk.begin("all of rho", PrivacyBudget(epsilon=account.remaining_epsilon, delta=1e-6))
    with pytest.raises(RhoExceededError):  # and unused thresholds for no more rho
        desk.begin("more rho", PrivacyBudget(epsilon=0.1, delta=1e-6))


def test_the_check_rejects_an_account_that_spends_all_of_delta_twice(tmp_path):
    """The twin: rho that is worth all of delta, with thresholds on top."""
    desk = Desk(tmp_path, thresholds=KEPT_IN_ALL)
    whole = Accounting.ZCDP.rho(10.0, 1e-6)
    desk.alter("UPDATE spark_dp_accounts SET rho = ?", f"{whole} delta {KEPT_IN_ALL}")
    with pytest.raises(LedgerError, match="altered"):
        desk.ledger.show("flights")


def test_an_account_that_paid_for_thresholds_beside_its_rho_is_refused(tmp_path):
    """As early builds did, that took them off its rho afterwards: neither account nor run had kept anything."""
    desk = Desk(tmp_path)
    desk.begin(budget=BUDGET)
    event = asked().event
    row = {"dataset": "flights", "key": "2013-W01", "ordinal": 0, "name": "ward", "kind": "threshold"}
    row |= {
        "spec_digest": "0" * 64,
        "event": canonical(event.to_json()),
        "rho": str(event.rho),
        "state": "reserved",
    }
    row |= {"answer_digest": None, "answer_epoch": None, "reserved_at": now(), "answered_at": None}
    with sa.create_engine(desk.url, poolclass=sa.NullPool).begin() as connection:
        record(connection, "flights", What.RESERVED, [Change(table=queries, deed=Deed.INSERT, row=row)])
    with pytest.raises(LedgerError, match="has paid for thresholds"):
        desk.ledger.show("flights")
    with pytest.raises(LedgerError, match="has paid for thresholds"):
        desk.begin("next", BUDGET)


def test_rows_that_change_under_a_driver_buy_it_nothing(desk):
    account = desk.begin(budget=KEPT)
    transcript = Transcript(account, desk.blobs())
    ValueCurator(Counts({"A": 5000}), transcript).learn(asked())
    desk.alter("UPDATE spark_dp_runs SET rho = rho || '0'")
    desk.alter("DELETE FROM spark_dp_queries")
    source = Counts({"A": 5000})
    with pytest.raises(BudgetExceededError, match="was reserved"):
        account.reserve(1, "again", "threshold", "0" * 64, asked().event)
    assert source.reads == 0


@pytest.mark.parametrize("releases", [4])
def test_a_release_takes_no_more_than_its_share_of_the_thresholds(tmp_path, releases):
    desk = Desk(tmp_path, thresholds=releases * DELTA)
    desk.open("daily", 10.0, releases=releases)
    for number in range(releases):
        desk.begin(f"day-{number}", KEPT, dataset="daily")
    with pytest.raises(BudgetExceededError, match="private values"):
        desk.begin("greedy", replace(KEPT, thresholds=2 * DELTA), dataset="daily")


@pytest.mark.parametrize("written", ["1e-8", 1e-8, Fraction(1, 10**8)])
def test_the_part_for_thresholds_is_what_its_digits_say(tmp_path, written):
    url = f"sqlite:///{tmp_path}/ledger.db"
    made = open_account(url, "d", 1.0, 1e-6, "person", Neighbours.ADD_REMOVE, thresholds=written)
    assert made.thresholds == Fraction(1, 10**8)


@pytest.mark.parametrize("written", ["much", "1e-6", "-1e-9", "nan"])
def test_a_part_for_thresholds_that_is_none_is_refused(tmp_path, written):
    url = f"sqlite:///{tmp_path}/ledger.db"
    with pytest.raises(ConfigurationError):
        open_account(url, "d", 1.0, 1e-6, "person", Neighbours.ADD_REMOVE, thresholds=written)


def test_a_gaussian_account_pays_for_rounded_noise_and_for_no_other(tmp_path):
    desk = Desk(tmp_path, accounting=Accounting.GAUSSIAN, thresholds=KEPT_IN_ALL)
    source = Counts({"A": 5000, CANARY: 1})
    with pytest.raises(InternalError, match="Gaussian"):
        curator(desk, source).learn(asked())
    assert source.reads == 0
    rounded = asked(noise=NoiseLaw.ROUNDED)
    assert rounded.event.gaussian_rho == RHO
    assert list(curator(desk, source).learn(rounded)) == ["A"]


@pytest.mark.parametrize("accounting", Accounting)
def test_what_an_account_promises_at_other_deltas_has_the_thresholds_in_it(tmp_path, accounting):
    without, account = (
        Desk(tmp_path, f"sqlite:///{tmp_path}/{name}.db", accounting=accounting, thresholds=kept).account
        for name, kept in (("without", Fraction(0)), ("with", DELTA))
    )
    before, after = ({p.delta: p.epsilon for p in one.promises} for one in (without, account))
    assert set(after) == {delta for delta in before if delta > 2 * DELTA}
    assert len(after) < len(before)
    assert after[account.delta] <= account.epsilon * (1 + 1e-9)
    for delta, epsilon in after.items():
        assert Fraction(accounting.delta(account.rho, epsilon)) + DELTA <= Fraction(delta) * (
            1 + Fraction(1, 10**6)
        )


def test_a_budget_keeps_the_delta_of_thresholds_apart():
    kept = PrivacyBudget(epsilon=1.0, delta=1e-9, thresholds=Fraction(1, 2 * 10**9))
    assert kept.rho < BUDGET.rho
    assert Fraction(zcdp_delta(kept.rho, 1.0)) + kept.thresholds <= Fraction(1e-9)


@pytest.mark.parametrize("thresholds", [Fraction(1e-9), Fraction(1), Fraction(-1, 10**12)])
def test_thresholds_that_leave_no_delta_are_refused(thresholds):
    with pytest.raises(Exception, match=r"privacy\.delta"):
        PrivacyBudget(epsilon=1.0, delta=1e-9, thresholds=thresholds)


@pytest.mark.parametrize("rounded", [True, False])
def test_the_event_is_kept_and_one_that_is_altered_is_refused(rounded):
    event = ThresholdEvent(mu_squared=Fraction(1, 3), delta=DELTA, rounded=rounded)
    written = event.to_json()
    assert event_from_json(json.loads(json.dumps(written))) == event
    for altered in ({"delta": "0"}, {"kind": "gaussian"}, {"mu_squared": "2/6"}, {"more": "1"}):
        with pytest.raises(LedgerError):
            event_from_json(written | altered)


def test_the_same_counts_in_another_order_get_the_same_answer_from_the_same_words(tmp_path):
    counts = {"B": 700, "A": 500, "C": 90}
    answers = []
    for i, order in enumerate((counts, dict(sorted(counts.items())))):
        (tmp_path / str(i)).mkdir()
        desk = Desk(tmp_path / str(i), thresholds=KEPT_IN_ALL)
        desk_curator = curator(desk, Counts(order), entropy=SeededEntropy(3))
        answers.append(desk_curator.learn(asked()))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("counts", [{"A": 0}, {"A": -1}, {"A": 2**62}])
def test_counts_that_cannot_be_are_refused(desk, counts):
    with pytest.raises(InternalError):
        curator(desk, Counts(counts)).learn(asked())


def test_no_value_is_a_valid_answer(desk):
    assert curator(desk, Counts({})).learn(asked()) == {}


LOUD = Fraction(1, 20)


def passes(delta: Fraction, counted: int = 1, draws: int = 40_000) -> int:
    """How often the value of one unit passes a threshold, by draws of the noise that the curator draws."""
    from spark_dp.privacy.noise import discrete_gaussian

    found = asked(1, delta=delta)
    return int(
        (counted + discrete_gaussian(found.sigma_squared, draws, SeededEntropy(11)) >= found.threshold).sum()
    )


def upper_limit(probability: float, draws: int = 40_000) -> float:
    from scipy.stats import binom

    return float(binom.ppf(1 - 1e-6, draws, probability))


def test_the_value_of_one_unit_passes_no_more_often_than_delta():
    assert passes(LOUD) <= upper_limit(float(LOUD))


def test_the_exact_tail_is_met_and_not_only_kept_below():
    found = asked(1, delta=LOUD)
    expected = noise_tail(found.sigma_squared, found.threshold - 1)
    assert abs(passes(LOUD) / 40_000 - expected) < 6 * (expected / 40_000) ** 0.5


def test_the_check_rejects_a_threshold_without_delta():
    """The twin: a threshold that is 10 lower, or a value of 11 units, passes too often."""
    assert passes(LOUD, counted=11) > upper_limit(float(LOUD))


@pytest.mark.parametrize("accounting", Accounting)
def test_a_promise_is_stated_at_its_own_delta_however_much_of_that_thresholds_take(accounting):
    thresholds = Fraction(9999, 10**13)
    budget = PrivacyBudget(epsilon=1.0, delta=1e-9, thresholds=thresholds)
    promises = promises_beside(accounting, budget.rho_in(accounting), 1e-9, thresholds)
    (own,) = [promise for promise in promises if promise.delta == 1e-9]
    assert own.epsilon == pytest.approx(1.0, rel=1e-6)
