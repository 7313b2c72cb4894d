"""What a run learns first: what the plan says of it, how the budget is divided, and what the run's identity is made of."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.config_sections import LearnedBound
from spark_dp.pipeline.describe_plan import WIDTH, plan_lines
from spark_dp.pipeline.inputs import contribution_of
from spark_dp.pipeline.manifest import promise_of
from spark_dp.pipeline.plan_accounting import promises_of
from spark_dp.pipeline.plan_private import private_facts
from spark_dp.pipeline.planning import plan_run
from spark_dp.privacy.accounting import zcdp_delta
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.tails import least_threshold
from spark_dp.schema.private import read_column

PRIVATE = """
  ward: {type: string, values: {private: 30, per_unit: 2, share: 0.04, delta: 1e-10}, other: Z, nullable: {private: true, share: 0.01}}
  age:  {type: integer, min: 0, max: 9999, bins: {private: 12, share: 0.05}, nullable: {private: true, share: 0.01}}
  cost: {type: double, min: 0, max: 1e6, bins: {private: 8, cut: width, share: 0.05}}
"""  # noqa: E501
UNIT = "{column: person, max_rows: auto, at_most: 40, share: 0.02}"
DECLARED = """
  ward: {type: string, values: [A, B], other: Z}
  age:  {type: integer, min: 0, max: 9999, bins: 12}
"""


def config(schema: str = PRIVATE, unit: str = UNIT, *overrides: str):
    return parse_config(
        f"input: {{path: in}}\noutput: {{path: out}}\nprivacy: {{epsilon: 1, delta: 1e-9, unit: {unit}, "
        f"ledger: 'sqlite:///none.db', dataset: d}}\nschema:{schema}run: {{directory: runs, key: k}}\n",
        overrides,
    )


def steps_of(**how):
    return {step.name: step for step in plan_run(config(**how)).steps}


def test_steps_and_marginals_together_cost_the_run():
    found = config()
    plan = plan_run(found)
    rho = found.privacy.budget.rho_in(plan.accounting)
    assert sum(step.share for step in plan.steps) == Fraction(18, 100)
    assert plan.queries.rho == rho * Fraction(82, 100)
    assert plan.rho == rho
    assert sum(q.rho for q in plan.queries.queries) + rho * Fraction(18, 100) <= rho


def test_without_private_steps_nothing_is_taken_off():
    found = config(DECLARED, "{column: person, max_rows: 40}")
    plan = plan_run(found)
    assert plan.steps == ()
    assert plan.queries.rho == found.privacy.budget.rho_in(plan.accounting)
    assert "learned" not in "\n".join(plan_lines(plan)).lower()
    assert private_facts(found) == []


def test_the_delta_of_thresholds_is_kept_apart():
    budget = config().privacy.budget
    assert budget.thresholds == Fraction(1, 10**10)
    assert Fraction(zcdp_delta(budget.rho, 1.0)) + budget.thresholds <= Fraction(1e-9)
    assert budget.rho < config(DECLARED).privacy.budget.rho


@pytest.mark.parametrize("accounting", Accounting)
def test_what_a_run_promises_at_other_deltas_has_its_thresholds_in_it(accounting):
    found = config()
    rho = found.privacy.budget.rho_in(accounting)
    promises = promises_of(found, accounting, rho)
    own = next(p for p in promises if p.delta == 1e-9)
    assert own.epsilon == pytest.approx(1.0, rel=1e-6)
    assert all(p.delta > 1e-10 for p in promises)
    for promise in promises:
        assert accounting.delta(rho, promise.epsilon) + 1e-10 <= promise.delta * (1 + 1e-9)
    assert len(promises_of(config(DECLARED), accounting, rho)) > len(promises)


def test_the_steps_are_in_the_order_in_which_they_are_asked():
    assert list(steps_of()) == [
        "preprocess/values/ward",
        "preprocess/rows per unit",
        "preprocess/bins/age",
        "preprocess/bins/cost",
        "preprocess/nulls/ward",
    ]


def test_a_threshold_is_that_which_the_run_will_use():
    rho = config().privacy.budget.rho_in(Accounting.GAUSSIAN)
    step = steps_of()["preprocess/values/ward"]
    assert step.threshold == least_threshold(2 / (2 * rho * Fraction(4, 100)), 2, Fraction(1, 10**10))


def test_sizes_are_those_of_the_largest_domain_that_may_come():
    found = config()
    sizes = dict(zip(found.schema.domain.attributes, found.schema.domain.sizes, strict=True))
    assert sizes == {"ward": 30 + 1 + 1, "age": 12 + 1, "cost": 8}
    assert contribution_of(found).max_rows == 40


def test_replacing_a_unit_is_planned_with_more_noise():
    one = steps_of()
    other = {s.name: s for s in plan_run(config(PRIVATE, UNIT, "privacy.neighbours=replace")).steps}
    for name, step in one.items():
        assert other[name].stddev == pytest.approx(step.stddev * 2**0.5)


def test_the_page_shows_the_split_and_what_is_not_known_yet():
    plan = plan_run(config())
    page = "\n".join(plan_lines(plan))
    assert all(len(line) <= WIDTH for line in page.splitlines())
    said = " ".join(page.split())
    assert "82.0% of ρ is left for the marginals" in said
    assert "k, edges, values and nulls are not known before the run" in said
    assert "at most k (40 at most, learned) rows' weight count" in said
    assert "units are counted by their rows; the grids of private bins are counted" in said
    assert "not learned yet" not in page
    json.dumps(plan.facts(), allow_nan=False)


def test_what_is_declared_to_be_learned_is_part_of_the_identity_of_a_run():
    same = config().measure_settings()
    assert same == config().measure_settings()
    for changed in (
        config(PRIVATE.replace("share: 0.04", "share: 0.03")),
        config(PRIVATE.replace("1e-10", "2e-10")),
        config(PRIVATE.replace("cut: width", "cut: mass")),
        config(PRIVATE, UNIT.replace("auto, ", "auto, quantile: 0.8, ")),
        config(PRIVATE, UNIT.replace("0.02", "0.01")),
    ):
        assert changed.measure_settings() != same
    json.dumps(same, allow_nan=False)
    assert "private" not in config(DECLARED, "{column: person, max_rows: 40}").measure_settings()


def test_the_default_quantile_is_nine_tenths():
    assert config().privacy.unit.learned == LearnedBound(quantile=Fraction(9, 10), share=Fraction(2, 100))


def test_a_stand_in_for_a_value_is_never_the_other_one():
    schema = "\n  code: {type: byte, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-10}, other: 1}\n"
    values = config(schema).schema.column("code").values
    assert len(set(values)) == 5
    assert 1 not in values


@pytest.mark.parametrize("other", ["+7", "07", "7", "7.0", " 7 ", 7])
@pytest.mark.parametrize("kind", ["integer", "byte"])
def test_a_stand_in_is_not_the_other_one_in_another_spelling(other, kind):
    learned = {"private": 20, "per_unit": 1, "share": "0.1", "delta": "1e-10"}
    column, _ = read_column("code", {"type": kind, "values": learned, "other": other})
    assert len(set(column.values)) == 20
    assert 7 not in column.values


def test_another_other_leaves_seven_to_stand_in():
    """The twin: with it, what is left out above would be there."""
    learned = {"private": 20, "per_unit": 1, "share": "0.1", "delta": "1e-10"}
    column, _ = read_column("code", {"type": "integer", "values": learned, "other": "+70"})
    assert 7 in column.values


def test_an_other_that_is_no_value_of_the_type_is_told_as_that():
    learned = {"private": 20, "per_unit": 1, "share": "0.1", "delta": "1e-10"}
    with pytest.raises(ConfigurationError, match="not a value of type integer") as caught:
        read_column("code", {"type": "integer", "values": learned, "other": "x"})
    assert caught.value.field == "schema.code.other"


MAY_CHANGE = "chosen again from what the private steps learn"


@pytest.mark.parametrize(
    ("schema", "unit", "may_change"),
    [
        (PRIVATE, UNIT, True),
        (DECLARED, UNIT, True),  # k alone is learned
        (DECLARED, "{column: person, max_rows: 40}", False),
    ],
    ids=["columns", "k", "nothing"],
)
def test_a_plan_says_that_auto_may_choose_again_where_private_steps_come_first(schema, unit, may_change):
    plan = plan_run(config(schema, unit, "mechanism.name=auto"))
    shown = " ".join("\n".join(plan_lines(plan)).split())
    assert (MAY_CHANGE in shown) == (MAY_CHANGE in plan.facts()["mechanism_reason"]) == may_change


def test_the_manifest_of_a_run_that_has_learned_states_a_reason_that_is_final():
    settings = config(PRIVATE, UNIT, "mechanism.name=auto")
    plan = plan_run(settings)
    statement = promise_of(
        settings, "5eed", plan.accounting, plan.rho, mechanism=plan.mechanism.name, reason=plan.reason
    )
    assert statement["mechanism_reason"].startswith(f"{plan.mechanism.name}, because")
    assert MAY_CHANGE not in statement["mechanism_reason"]
    assert MAY_CHANGE in plan.facts()["mechanism_reason"]


def test_a_named_mechanism_is_not_chosen_again():
    assert MAY_CHANGE not in "\n".join(plan_lines(plan_run(config(PRIVATE, UNIT, "mechanism.name=oneshot"))))


def test_a_statement_says_what_each_step_cost_and_nothing_that_was_learned():
    assert private_facts(config())[0] == {
        "query": "preprocess/values/ward",
        "share": "1/25",
        "delta": "1/10000000000",
    }
