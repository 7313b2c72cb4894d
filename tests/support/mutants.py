"""Deliberate faults of our own code, and the tests that must fail on each.

`python scripts/mutants.py` puts one after another into a copy of the tree and runs its tests there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CURATOR = "spark_dp/privacy/curator.py"
SENSITIVITY = "spark_dp/privacy/sensitivity.py"
BOUNDING = "spark_dp/spark/bounding.py"

TEST_CURATOR = "tests/unit/privacy/test_curator.py"
TEST_SENSITIVITY = "tests/unit/privacy/test_sensitivity.py"
TEST_WEIGH = "tests/spark/test_weigh.py"
TEST_SAMPLE = "tests/spark/test_sample.py"
AUDIT = "tests/spark/test_audit.py"
MEASURING = f"{AUDIT}::test_measuring_loses_no_more_than_claimed"
HEAVIEST = f"{AUDIT}::test_no_unit_weighs_more_than_k_after_bounding"
CHOOSING = f"{AUDIT}::test_choosing_loses_no_more_than_claimed"
SCORING = f"{AUDIT}::test_scoring_loses_no_more_than_claimed"
TEST_VALUES = "tests/unit/privacy/test_value_selection.py"
TEST_SCORES = "tests/unit/privacy/test_joint_scores.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault.

    Attributes:
        name: in a few words.
        fault: what the code does instead.
        file: below the root of the tree.
        old: a piece of its text, there exactly once.
        new: what stands there instead.
        tests: each of them must fail, in at least one of its cases.
    """

    name: str
    fault: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def needs_spark(test: str) -> bool:
    """Whether a test starts a JVM, by where it lies."""
    return test.startswith(("tests/spark", "tests/e2e"))


_NOISE = """            exact = counts[clique]
            noise = self._accounting.noise.draw(specification.sigma_squared, exact.size, self._entropy)"""
_SEEDED = (
    'type("Seeded", (), {"words": lambda self, n, bits=np.random.PCG64(7): '
    "np.asarray(bits.random_raw(n), dtype=np.uint64)})()"
)

MUTANTS: Final = (
    Mutant(
        name="noise scale",
        fault="noise of σ/√2",
        file=CURATOR,
        old=_NOISE,
        new=_NOISE.replace("sigma_squared,", "sigma_squared / 2,"),
        tests=(f"{TEST_CURATOR}::test_every_cell_of_the_declared_domain_is_noised", MEASURING),
    ),
    Mutant(
        name="k ignored",
        fault="the noise is for one row a unit",
        file=SENSITIVITY,
        old="return factor * self.weight**2 * count",
        new="return factor * self.unit**2 * count",
        tests=(f"{TEST_SENSITIVITY}::test_the_l2_sensitivity_is_what_the_worst_unit_moves", MEASURING),
    ),
    Mutant(
        name="√m lost",
        fault="each marginal has the noise of one alone",
        file=SENSITIVITY,
        old="return factor * self.weight**2 * count",
        new="return factor * self.weight**2",
        tests=(
            f"{TEST_CURATOR}::test_the_noise_covers_all_marginals_together_and_all_rows_of_a_unit",
            MEASURING,
        ),
    ),
    Mutant(
        name="selection's sensitivity",
        fault="a choice is made as if a unit had one row",
        file=SENSITIVITY,
        old="return factor * self.weight * Fraction(max_weight)",
        new="return factor * self.unit * Fraction(max_weight)",
        tests=(
            f"{TEST_SENSITIVITY}::test_the_score_sensitivity_is_what_the_worst_unit_moves",
            "tests/statistical/test_selection_neighbours.py::test_no_unit_moves_a_choice_by_more_than_epsilon",
            CHOOSING,
        ),
    ),
    Mutant(
        name="√m lost in scores",
        fault="each of the errors that are scored together has the noise of one alone",
        file=SENSITIVITY,
        old="return factor * self.weight**2 * sum(weight**2 for weight in weights)",
        new="return factor * self.weight**2 * max(weights) ** 2",
        tests=(
            f"{TEST_SCORES}::test_the_noise_covers_all_distances_together_and_all_rows_of_a_unit",
            SCORING,
        ),
    ),
    Mutant(
        name="k ignored in scores",
        fault="errors are scored as if a unit had one row",
        file=SENSITIVITY,
        old="return factor * self.weight**2 * sum(weight**2 for weight in weights)",
        new="return factor * self.unit**2 * sum(weight**2 for weight in weights)",
        tests=(
            f"{TEST_SCORES}::test_the_sensitivity_is_reached_so_that_a_smaller_one_would_be_wrong",
            SCORING,
        ),
    ),
    Mutant(
        name="a choice at zCDP's price",
        fault="an account in Gaussian-DP charges a choice as one in zCDP does",
        file="spark_dp/privacy/events.py",
        old="        return PI_ABOVE / 2 * self.rho\n",
        new="        return self.rho\n",
        tests=(
            "tests/unit/privacy/test_composition.py"
            "::test_a_selection_cannot_take_in_gaussian_dp_what_it_costs_in_zcdp",
        ),
    ),
    Mutant(
        name="empty cells without noise",
        fault="only occupied cells get noise",
        file=CURATOR,
        old="noisy.append(np.asarray(exact + noise.reshape(exact.shape)))",
        new="noisy.append(np.asarray(np.where(exact > 0, exact + noise.reshape(exact.shape), 0)))",
        tests=(f"{TEST_CURATOR}::test_every_cell_of_the_declared_domain_is_noised", MEASURING),
    ),
    Mutant(
        name="second draw",
        fault="what was answered is drawn again",
        file=CURATOR,
        old="""        values = self._transcript.recall(record)
        if values is None:
            values = self._transcript.settle(record, self._draw_measure(stored))
""",
        new="        values = self._draw_measure(stored)\n",
        tests=(
            f"{TEST_CURATOR}::test_the_same_run_gives_the_same_answers_without_reading_the_table",
            MEASURING,
        ),
    ),
    Mutant(
        name="fixed seed",
        fault="every query is drawn from the same seed",
        file=CURATOR,
        old=_NOISE,
        new=_NOISE.replace("self._entropy", _SEEDED),
        tests=(f"{TEST_CURATOR}::test_another_run_draws_anew", MEASURING),
    ),
    Mutant(
        name="replayed seed",
        fault="randomness comes from numpy's global generator",
        file="spark_dp/privacy/entropy.py",
        old="np.frombuffer(os.urandom(8 * count), dtype=np.uint64)",
        new="np.frombuffer(np.random.bytes(8 * count), dtype=np.uint64)",
        tests=(
            "tests/unit/privacy/test_entropy.py::test_seeding_numpy_does_not_repeat_a_draw",
            "tests/unit/privacy/test_entropy.py::test_forked_processes_draw_different_noise",
        ),
    ),
    Mutant(
        name="float noise",
        fault="continuous noise in floats, rounded",
        file="spark_dp/privacy/noise.py",
        old="    scale = math.isqrt(math.floor(sigma_squared)) + 1  # floor(sigma) + 1, exactly\n",
        new=(
            "    if size > 0:\n"
            "        return np.rint(np.random.normal(0, math.sqrt(sigma_squared), size)).astype(np.int64)\n"
            "    scale = math.isqrt(math.floor(sigma_squared)) + 1\n"
        ),
        tests=("tests/statistical/test_noise_law.py::test_noise_has_the_declared_law",),
    ),
    Mutant(
        name="float noise, rounded Gaussian",
        fault="the default noise is continuous, in floats, rounded",
        file="spark_dp/privacy/rounded_gaussian.py",
        old="    noise = np.empty(size, dtype=np.int64)\n    filled = 0\n",
        new=(
            "    if size > 0:\n"
            "        return np.rint(np.random.normal(0, math.sqrt(sigma_squared), size)).astype(np.int64)\n"
            "    noise = np.empty(size, dtype=np.int64)\n"
            "    filled = 0\n"
        ),
        tests=(
            "tests/unit/privacy/test_rounded_gaussian.py::test_floats_decide_nothing_otherwise_than_integers",
        ),
    ),
    Mutant(
        name="unclipped weights",
        fault="every row weighs a whole row, however many its unit has",
        file=BOUNDING,
        old='shared = f"({WEIGHT_UNIT * max_rows}L DIV {_SIZE})"',
        new='shared = f"({WEIGHT_UNIT}L)"',
        tests=(f"{TEST_WEIGH}::test_a_row_weighs_its_share_of_k_and_never_more", MEASURING),
    ),
    Mutant(
        name="weights rounded up",
        fault="⌈W k / m⌉ a row",
        file=BOUNDING,
        old='shared = f"({WEIGHT_UNIT * max_rows}L DIV {_SIZE})"',
        new='shared = f"(({WEIGHT_UNIT * max_rows}L + {_SIZE} - 1) DIV {_SIZE})"',
        tests=(f"{TEST_WEIGH}::test_a_row_weighs_its_share_of_k_and_never_more", HEAVIEST),
    ),
    Mutant(
        name="bounding per partition, weights",
        fault="a unit is bounded anew in each partition",
        file=BOUNDING,
        old="""    keys = key_names(rows)
    payload = [""",
        new="""    rows = rows.withColumn(f"{_KEY}part", F.spark_partition_id())
    keys = key_names(rows)
    payload = [""",
        tests=(
            f"{TEST_WEIGH}::test_a_unit_with_a_million_rows_in_ten_files_weighs_at_most_k",
            MEASURING,
        ),
    ),
    Mutant(
        name="bounding per partition, samples",
        fault="k rows of a unit are kept in each partition",
        file=BOUNDING,
        old="""    keys = key_names(rows)
    words = [""",
        new="""    rows = rows.withColumn(f"{_KEY}part", F.spark_partition_id())
    keys = key_names(rows)
    words = [""",
        tests=(f"{TEST_SAMPLE}::test_a_unit_keeps_all_its_rows_or_k", MEASURING),
    ),
    Mutant(
        name="copies numbered per partition",
        fault="equal rows are counted in each partition by itself",
        file=BOUNDING,
        old="groups = kept_rows.groupBy(*keys, *words).agg(F.count(F.lit(1)).alias(_COPIES))",
        new=(
            "groups = kept_rows.groupBy(*keys, *words, F.spark_partition_id().alias('p'))"
            ".agg(F.count(F.lit(1)).alias(_COPIES)).drop('p')"
        ),
        tests=(f"{TEST_SAMPLE}::test_what_is_kept_of_equal_rows_does_not_depend_on_partitions",),
    ),
    Mutant(
        name="nulls as units",
        fault="each row without an id is a unit of its own",
        file=BOUNDING,
        old="        rows = rows.where(~is_null)\n",
        new=(
            '        parts = [F.coalesce(part.cast("string"), F.concat(F.lit("no id "), '
            'F.monotonically_increasing_id().cast("string"))) for part in parts]\n'
        ),
        tests=(
            f"{TEST_WEIGH}::test_a_row_weighs_its_share_of_k_and_never_more",
            f"{TEST_SAMPLE}::test_null_ids_are_left_out_or_one_unit_or_refused",
        ),
    ),
    Mutant(
        name="row order as tie-break",
        fault="the rows that come first are kept",
        file=BOUNDING,
        old="first = Window.partitionBy(*keys).orderBy(_ORDER, *words)",
        new="first = Window.partitionBy(*keys).orderBy(F.monotonically_increasing_id())",
        tests=(f"{TEST_SAMPLE}::test_what_is_kept_does_not_depend_on_the_layout",),
    ),
    Mutant(
        name="exact n",
        fault="`rows: auto` is the number of rows of the input",
        file="spark_dp/pipeline/output.py",
        old='max(0, round(modelled.json("fit.json")["total"]))',
        new="run.spark().read.load(str(run.config.input.path)).count()",
        tests=(
            "tests/e2e/test_run.py::test_rows_auto_is_the_noisy_bounded_total_and_not_the_number_of_rows",
        ),
    ),
    Mutant(
        name="uncharged query",
        fault="the ledger lets any query pass",
        file="spark_dp/privacy/run_account.py",
        old="            spent.charge(name, event)\n            require",
        new="            require",
        tests=("tests/unit/privacy/test_crashes.py::test_the_ledger_itself_refuses_what_exceeds_a_run",),
    ),
    Mutant(
        name="threshold without delta",
        fault="a run converts its rho at the whole delta, and its thresholds come on top",
        file="spark_dp/privacy/thresholds.py",
        old="    if not thresholds:\n        return accounting.rho(epsilon, delta)\n",
        new="    return accounting.rho(epsilon, delta)\n",
        tests=(f"{TEST_VALUES}::test_a_budget_keeps_the_delta_of_thresholds_apart",),
    ),
    Mutant(
        name="threshold that ignores delta",
        fault="a value of one unit alone passes the threshold of its count half of the time",
        file="spark_dp/privacy/value_selection.py",
        old="threshold=least_threshold(sigma_squared, per_unit, delta),",
        new="threshold=least_threshold(sigma_squared, per_unit, Fraction(1, 2)),",
        tests=(
            f"{TEST_VALUES}::test_the_value_of_one_unit_passes_no_more_often_than_delta",
            f"{TEST_VALUES}::test_the_noise_and_the_charge_are_those_of_the_sensitivity",
        ),
    ),
    Mutant(
        name="uncounted query",
        fault="the curator forgets what a query cost",
        file="spark_dp/privacy/transcript.py",
        old="        self._filter.charge(name, record.event)\n",
        new="",
        tests=(
            "tests/contract/test_mechanism_contract.py"
            "::test_a_run_spends_exactly_its_budget_and_asks_for_nothing_unplanned",
        ),
    ),
    Mutant(
        name="domain from data",
        fault="a number's range is that of the rows at hand",
        file="spark_dp/schema/encode.py",
        old="        return lambda ticks: (np.clip(ticks, low, high) - low).astype(np.int32)",
        new="        return lambda ticks: (np.clip(ticks, low, high) - ticks.min()).astype(np.int32)",
        tests=(
            "tests/unit/schema/test_codec_types.py::test_the_code_of_a_value_does_not_depend_on_the_rows_beside_it",
        ),
    ),
    Mutant(
        name="read before it is refused",
        fault="a query is not checked against what is left before its specification is kept",
        file="spark_dp/privacy/transcript.py",
        old="            self._filter.require(name, event)\n",
        new="",
        tests=(f"{TEST_CURATOR}::test_a_query_over_the_budget_never_reads_the_table",),
    ),
    Mutant(
        name="replacement charged as removal",
        fault="scores move by k where a unit is replaced",
        file=SENSITIVITY,
        old="""        factor = 2 if self.neighbours is Neighbours.REPLACE else 1
        return factor * self.weight * Fraction(max_weight)""",
        new="        return self.weight * Fraction(max_weight)",
        tests=(f"{TEST_SENSITIVITY}::test_the_score_sensitivity_is_what_the_worst_unit_moves",),
    ),
    Mutant(
        name="answer not read back",
        fault="a draw is released whatever the folder kept of it",
        file="spark_dp/privacy/transcript.py",
        old="        values = self._read(record, persisted, digest(content))\n        self._account",
        new="        values = drawn\n        self._account",
        tests=(
            f"{TEST_CURATOR}::test_an_answer_that_cannot_be_read_back_is_not_released_and_not_the_answer",
        ),
    ),
    Mutant(
        name="bounded to the largest k",
        fault="after k is learned, rows are bounded to the largest k that it might have been",
        file="spark_dp/pipeline/preprocessing.py",
        old="desk.opened.with_config(replace_schema(desk.config, schema))",
        new="desk.opened.with_config("
        "replace(replace_schema(desk.config, schema), privacy=desk.opened.config.privacy))",
        tests=(
            "tests/unit/pipeline/test_learned_bound.py"
            "::test_all_that_is_counted_after_k_is_learned_is_bounded_to_it",
        ),
    ),
    Mutant(
        name="compared in zCDP",
        fault="an account in Gaussian-DP compares what a run costs in zCDP with what is left",
        file="spark_dp/privacy/account_rules.py",
        old="    asked = budget.rho_in(accounting)\n    left",
        new="    asked = budget.rho\n    left",
        tests=("tests/unit/privacy/test_ledger.py::test_the_remaining_epsilon_can_be_spent_and_no_more",),
    ),
)
