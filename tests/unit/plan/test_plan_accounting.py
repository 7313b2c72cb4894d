"""What a plan, a manifest and a report say of the accounting."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction

import pytest
from support.pages import release

from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.pages.released import released_page
from spark_dp.pipeline.config import RunConfig, parse_config
from spark_dp.pipeline.describe import account_facts, account_lines
from spark_dp.pipeline.describe_plan import plan_lines
from spark_dp.pipeline.manifest import manifest_of, promise_of
from spark_dp.pipeline.plan_account import standing_of
from spark_dp.pipeline.plan_accounting import noise_of_other
from spark_dp.pipeline.planning import RunPlan, plan_run
from spark_dp.pipeline.report import accounting_lines
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import GAUSSIAN_METHOD, ZCDP_METHOD, Accounting, stated_deltas
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.stated import at_least

GAUSSIAN, ZCDP = Accounting.GAUSSIAN, Accounting.ZCDP


def config(folder, mechanism: str = "mst") -> RunConfig:
    text = (
        "input: {path: data/visits}\noutput: {path: out/visits}\n"
        "privacy:\n  epsilon: 1\n  delta: 1e-9\n  unit: {column: person, max_rows: 10}\n"
        f"  ledger: sqlite:///{folder}/ledger.db\n  dataset: visits\n"
        "schema:\n  ward: {type: string, values: [A, B, C], other: D}\n"
        "  age: {type: integer, min: 0, max: 99, bins: 10}\n"
        f"mechanism: {{name: {mechanism}}}\nrun: {{directory: runs, key: first}}\n"
    )
    return parse_config(text, source="run.yaml")


def with_selecting(plan: RunPlan, share: Fraction) -> MechanismPlan:
    """The plan of one measurement and one selection, which takes this share."""
    measured, chosen = plan.queries.queries[0], next(q for q in plan.queries.queries if q.kind == "select")
    rho = plan.queries.rho
    queries = (replace(measured, rho=rho * (1 - share)), replace(chosen, rho=rho * share))
    return replace(plan.queries, queries=queries)


def test_a_plan_follows_the_accounting_of_its_account(tmp_path):
    settings = config(tmp_path)
    assert standing_of(settings).accounting is GAUSSIAN  # that of an account that is still to be opened
    open_account(
        f"sqlite:///{tmp_path}/ledger.db",
        "visits",
        2.0,
        1e-9,
        "person",
        Neighbours.ADD_REMOVE,
        accounting=ZCDP,
    )
    standing = standing_of(settings)
    assert standing.accounting is ZCDP
    assert standing.rho == ZCDP.rho(1.0, 1e-9)
    assert plan_run(settings, accounting=standing.accounting).queries.rho == standing.rho


def test_the_same_promise_plans_less_noise_and_dearer_choices_in_gaussian_dp(tmp_path):
    plans = {accounting: plan_run(config(tmp_path), accounting=accounting) for accounting in Accounting}
    gain = math.sqrt(GAUSSIAN.rho(1.0, 1e-9) / ZCDP.rho(1.0, 1e-9))
    for ours, theirs in zip(plans[GAUSSIAN].queries.queries, plans[ZCDP].queries.queries, strict=True):
        factor = gain if ours.kind == "measure" else gain / math.sqrt(math.pi / 2)
        assert theirs.stddev / ours.stddev == pytest.approx(factor)


def test_the_scale_of_a_choice_is_that_of_the_epsilon_that_is_drawn_with(tmp_path):
    for accounting in Accounting:
        plan = plan_run(config(tmp_path), accounting=accounting)
        chosen = next(query for query in plan.queries.queries if query.kind == "select")
        epsilon = accounting.selection_epsilon(chosen.rho)
        assert chosen.stddev == pytest.approx(2 * 10 / float(epsilon))


@pytest.mark.parametrize("share", [Fraction(1, 20), Fraction(1, 10), Fraction(1, 3)])
def test_the_other_accounting_is_compared_at_equal_choices(tmp_path, share):
    """The same epsilon of the selection, relative to the noise, bought in the other accounting."""
    settings = config(tmp_path)
    for ours, other in ((GAUSSIAN, ZCDP), (ZCDP, GAUSSIAN)):
        plan = with_selecting(plan_run(settings, accounting=ours), share)
        rho, total = plan.rho, other.rho(1.0, 1e-9)
        epsilon, mu_squared = float(ours.selection_epsilon(rho * share)), float(2 * rho * (1 - share))
        # In the other account everything is scaled by one factor, until it costs what that account has.
        dearer = math.pi / 2 if other is GAUSSIAN else 1
        factor = float(total) / (dearer * epsilon**2 / 8 + mu_squared / 2)
        assert noise_of_other(settings, plan, ours) == pytest.approx(factor**-0.5, rel=1e-6)


@pytest.mark.parametrize(("share", "gain"), [(Fraction(1, 10), 1.023), (Fraction(1, 3), 0.964)])
def test_a_tenth_of_selecting_is_better_off_in_gaussian_dp_and_a_third_is_not(tmp_path, share, gain):
    settings = config(tmp_path)
    plan = with_selecting(plan_run(settings, accounting=ZCDP), share)
    assert 1 / noise_of_other(settings, plan, ZCDP) == pytest.approx(gain, abs=1e-3)


@pytest.mark.parametrize(("accounting", "method"), [(GAUSSIAN, GAUSSIAN_METHOD), (ZCDP, ZCDP_METHOD)])
def test_plan_manifest_and_report_name_the_method_and_state_several_deltas(tmp_path, accounting, method):
    settings = config(tmp_path)
    plan = plan_run(settings, accounting=accounting)
    statement = promise_of(settings, "5eed", accounting, plan.queries.rho, mechanism="mst", reason=None)
    generated = {"seed": 1, "partition_by": [], "schema": {}}
    manifest = json.loads(manifest_of(statement, rows=1, generated=generated, digest="d"))
    stated = manifest["privacy"]["accounting"]
    assert (stated["name"], stated["method"], stated["noise"]) == (accounting, method, accounting.noise)
    assert {p["delta"]: p["epsilon"] for p in stated["promises"]} == {
        delta: accounting.epsilon(plan.queries.rho, delta) for delta in stated_deltas(1e-9)
    }
    at = {p["delta"]: p["epsilon"] for p in stated["promises"]}
    assert at[1e-9] == pytest.approx(1.0)
    (line,) = accounting_lines(statement)
    shown = " ".join("\n".join(plan_lines(plan)).split())
    for text in (line, shown):
        assert method in text
        assert f"ε = {at_least(at[1e-6], 4)} at δ = 1e-06" in text
    facts = plan.facts()["accounting"]
    assert facts["promises"] == stated["promises"]


def less_noise(epsilon, delta):
    """By how much a gaussian account has less noise where all queries are measurements."""
    return 1 - math.sqrt(ZCDP.rho(epsilon, delta) / GAUSSIAN.rho(epsilon, delta))


def test_the_savings_that_the_documentation_states_are_those_at_its_corners():
    corners = {(e, d): less_noise(e, d) for e in (0.05, 1, 20) for d in (1e-5, 1e-9, 1e-12)}
    assert min(corners, key=corners.get) == (20, 1e-12)
    assert max(corners, key=corners.get) == (0.05, 1e-5)
    assert f"{min(corners.values()):.1%} {max(corners.values()):.1%}" == "2.9% 10.1%"


@pytest.mark.parametrize(
    ("epsilon", "delta", "gaussian_is_less"),
    [(4, 1e-5, True), (8, 1e-5, False), (0.1, 1e-7, True), (1, 1e-7, False), (0.05, 1e-9, False)],
)
def test_where_a_third_selects_it_depends_on_epsilon_and_delta(tmp_path, epsilon, delta, gaussian_is_less):
    settings = config(tmp_path)
    budget = PrivacyBudget(epsilon=epsilon, delta=delta)
    settings = replace(settings, privacy=replace(settings.privacy, budget=budget))
    plan = plan_run(settings, accounting=GAUSSIAN)
    other = noise_of_other(settings, with_selecting(plan, Fraction(1, 3)), GAUSSIAN)
    assert (other > 1) == gaussian_is_less


def test_a_release_from_before_accountings_is_still_reported():
    made = release()
    assert accounting_lines(made["statement"]) == []
    assert "Proved by" not in released_page(**made)


def test_the_page_of_a_release_names_the_method_and_other_deltas(tmp_path):
    made = release()
    proved = promise_of(
        config(tmp_path), "5eed", GAUSSIAN, GAUSSIAN.rho(4.0, 1e-6), mechanism="mst", reason=None
    )["accounting"]
    shown = released_page(**made | {"statement": made["statement"] | {"accounting": proved}})
    assert GAUSSIAN_METHOD in shown
    assert "at δ = 1e-12" in shown


def test_an_account_is_shown_with_its_accounting_and_its_promises(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    account = open_account(url, "visits", 4.0, 1e-7, "person", Neighbours.ADD_REMOVE)
    shown = "\n".join(account_lines(account))
    assert f"Accounting gaussian: {GAUSSIAN_METHOD}; the noise is the rounded Gaussian" in shown
    assert "1e-12" in shown
    facts = account_facts(account)
    assert (facts["accounting"], facts["asked"]["queries"]) == ("gaussian", 0)
    assert [p["delta"] for p in facts["promises"]] == list(stated_deltas(1e-7))
