"""What the guide says that an account pays for is what accounts of this release pay for."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from doc_pages import page

from spark_dp.privacy.accounting import mu_of_rho
from spark_dp.privacy.composition import Accounting

DELTA = 1e-7


def test_the_epsilons_of_the_table_fit_their_account_and_hardly_more_would():
    table = page("choosing.md").partition("| runs on an account of ε = 4 |")[2].partition("\n\n")[0]
    account = Accounting.GAUSSIAN.rho(4.0, DELTA)
    found = {
        int(runs): float(epsilon) for runs, epsilon in re.findall(r"^\| (\d+) \| (\S+) \|$", table, re.M)
    }
    assert list(found) == [1, 2, 4, 12, 52, 365]
    for runs, epsilon in found.items():
        assert runs * Accounting.GAUSSIAN.rho(epsilon, DELTA) <= account
        assert runs * Accounting.GAUSSIAN.rho(epsilon * 1.01, DELTA) > account


def test_fifty_rows_of_one_person_may_lose_more_than_fifty_times_epsilon():
    mu = mu_of_rho(Accounting.GAUSSIAN.rho(1.0, 1e-9))
    fifty = Accounting.GAUSSIAN.epsilon(Fraction((50 * mu) ** 2 / 2), 1e-9)
    assert 50 < fifty < 100


def test_a_thousandth_of_delta_takes_a_quarter_to_a_third_more_noise():
    for epsilon in (0.5, 1.0, 2.0, 4.0):
        more = math.sqrt(Accounting.GAUSSIAN.rho(epsilon, 1e-6) / Accounting.GAUSSIAN.rho(epsilon, 1e-9))
        assert 1.24 < more < 1.335
