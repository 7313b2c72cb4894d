"""The error that a plan predicts, against the error that mechanisms make on tables drawn for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from seeded import P, SeededEntropy
from support.counting import ArraySource, random_codes

from spark_dp.files import Folder
from spark_dp.graphical.estimation import estimate
from spark_dp.mechanisms.catalog import mechanism_named
from spark_dp.mechanisms.workload import Workload
from spark_dp.pipeline.expected_error import ExpectedRows, expected_errors
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

SEEDS = range(20)
BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-9)
UNIT = 1 << 20
WEIGHED = Contribution(max_rows=5, unit=UNIT, neighbours=Neighbours.ADD_REMOVE)
ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.REPLACE)
ROWS = 30_000


def planned(mechanism, domain, contribution):
    return mechanism_named(mechanism).plan(
        domain,
        rho=BUDGET.rho,
        contribution=contribution,
        workload=Workload.of_degree(domain, 2),
        max_cells=100_000,
    )


def measured_errors(folder, plan, mechanism, codes, cliques):
    """Returns the total variation distance of each clique's marginal, a row a seed."""
    contribution = plan.contribution
    url = f"sqlite:///{folder / 'ledger.db'}"
    open_account(url, "people", 1000.0, 1e-6, "person", contribution.neighbours)
    weights = np.full(len(codes), contribution.unit, dtype=np.int64)
    found = []
    for seed in SEEDS:
        source = ArraySource(plan.domain, codes, weights)
        account = Ledger.connect(url).begin(
            "people", str(seed), "0" * 64, BUDGET, "person", contribution.neighbours
        )
        curator = Curator(
            domain=plan.domain,
            contribution=contribution,
            source=source,
            account=account,
            answers=Folder.open(str(folder / str(seed))),
            entropy=SeededEntropy(seed),
        )
        noisy = mechanism_named(mechanism).measure(curator, plan, lambda _: None)
        model = estimate(plan.domain, noisy, max_cells=plan.max_cells).model
        found.append([_tvd(model.marginal(clique), source.marginal(clique)) for clique in cliques])
    return np.array(found)


def _tvd(fitted, exact):
    return 0.5 * np.abs(fitted / fitted.sum() - exact / exact.sum()).sum()


def is_within(measured, errors, factor=1.0):
    """Whether the errors are at most about the predicted ones, in every run and on average, and not far less.

    The sum of n absolute values of Gaussians has a relative standard deviation of sqrt((pi / 2 - 1) / n).
    """
    predicted = factor * np.array([error.tvd for error in errors])
    scatter = norm.isf(P / measured.size) * np.sqrt(
        (np.pi / 2 - 1) / np.array([error.cells for error in errors])
    )
    average = measured.mean(axis=0)
    runs = (measured <= predicted * (1 + scatter)).all()
    below = (average <= predicted * (1 + scatter / np.sqrt(len(measured)))).all()
    return bool(runs and below and (average >= predicted / 3).all())


@pytest.fixture(scope="module", params=[WEIGHED, ONE_ROW], ids=["weighed", "rows"])
def columns(request, tmp_path_factory):
    domain = Domain(("a", "b", "c", "d"), (40, 40, 12, 60))
    plan = planned("independent", domain, request.param)
    errors = expected_errors(plan, ExpectedRows(rows=ROWS, source="input.expected_rows"), ways=1)
    codes = random_codes(domain, ROWS, seed=3)
    measured = measured_errors(
        tmp_path_factory.mktemp("desk"), plan, "independent", codes, [e.clique for e in errors]
    )
    return measured, errors


def test_the_error_of_a_column_is_at_most_about_the_predicted_and_not_far_less(columns):
    measured, errors = columns
    assert all(0.0005 < error.tvd < 0.5 for error in errors)
    assert is_within(measured, errors)


@pytest.mark.parametrize("factor", [0.7, 3.5])
def test_the_test_rejects_a_prediction_that_is_far_off(columns, factor):
    measured, errors = columns
    assert not is_within(measured, errors, factor)


def test_the_error_of_a_pair_that_is_kept_is_at_most_about_the_predicted(tmp_path):
    domain = Domain(("a", "b", "c"), (12, 10, 2))
    plan = planned("mst", domain, replace(ONE_ROW, neighbours=Neighbours.ADD_REMOVE))
    errors = expected_errors(plan, ExpectedRows(rows=ROWS, source="input.expected_rows"), ways=2)
    predicted = next(error for error in errors if error.clique == ("a", "b"))
    assert predicted.if_kept
    random = np.random.default_rng(5)
    a = random.integers(0, 12, ROWS)
    b = (a + random.integers(0, 8, ROWS)) % 10
    codes = np.stack([a, b, random.integers(0, 2, ROWS)], axis=1)
    measured = measured_errors(tmp_path, plan, "mst", codes, [("a", "b")])
    assert is_within(measured, [predicted])
    assert not is_within(measured, [predicted], 0.7)
