from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scripted import ScriptedEntropy, SeededEntropy

from spark_dp.errors import InternalError
from spark_dp.privacy.bernoulli import RELATIVE_MARGIN
from spark_dp.privacy.entropy import OS_ENTROPY
from spark_dp.privacy.noise import LARGEST_SIGMA_SQUARED, SMALLEST_SIGMA_SQUARED
from spark_dp.privacy.normal_steps import STEPS, cumulative_bounds, normal_steps
from spark_dp.privacy.rounded_gaussian import rounded_gaussian

SIGMAS = [Fraction(3, 10), Fraction(1), Fraction(7, 3), Fraction(30), Fraction(9 * 10**8), Fraction(2**40)]
ALL_EXACT = 2.0**20  # a margin so wide that everything is decided with integers

FORK = """
import os
from fractions import Fraction
import numpy as np
from spark_dp.privacy.rounded_gaussian import rounded_gaussian
np.random.seed(1)
rounded_gaussian(Fraction(10**6), 10)
reading, writing = os.pipe()
child = os.fork()
noise = rounded_gaussian(Fraction(10**6), 20)
if child == 0:
    os.write(writing, noise.tobytes())
    os._exit(0)
os.waitpid(child, 0)
print(np.array_equal(np.frombuffer(os.read(reading, 10000), dtype=np.int64), noise))
"""


@pytest.mark.parametrize("sigma_squared", [SMALLEST_SIGMA_SQUARED, Fraction(1), Fraction(2**80 + 1, 3)])
@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_noise_is_int64_of_the_size_asked_for(sigma_squared, size):
    noise = rounded_gaussian(sigma_squared, size)
    assert noise.dtype == np.int64
    assert noise.shape == (size,)


def test_the_largest_noise_allowed_stays_far_from_overflow():
    noise = rounded_gaussian(LARGEST_SIGMA_SQUARED - 1, 20_000)
    assert 2**45 < np.abs(noise).max() < 2**49


def test_tiny_noise_is_all_zero():
    assert not rounded_gaussian(Fraction(1, 10**6), 10_000).any()


@pytest.mark.parametrize(
    "sigma_squared",
    [
        Fraction(0),
        Fraction(-1),
        LARGEST_SIGMA_SQUARED,
        SMALLEST_SIGMA_SQUARED / 2,
        1.0,
        1,
        float("nan"),
        None,
    ],
)
def test_a_variance_that_cannot_be_drawn_is_refused(sigma_squared):
    with pytest.raises(InternalError, match="Nothing was drawn"):
        rounded_gaussian(sigma_squared, 1)


@pytest.mark.parametrize("size, margin", [(-1, RELATIVE_MARGIN), (1, RELATIVE_MARGIN / 2), (1, float("nan"))])
def test_a_negative_size_and_a_narrow_margin_are_refused(size, margin):
    with pytest.raises(InternalError, match="Nothing was drawn"):
        rounded_gaussian(Fraction(1), size, margin=margin)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_floats_decide_nothing_otherwise_than_integers(sigma):
    """The same words give the same noise, whatever is decided by floats."""
    fast = rounded_gaussian(sigma**2, 5_000, SeededEntropy(1))
    slow = rounded_gaussian(sigma**2, 5_000, SeededEntropy(1), margin=ALL_EXACT)
    assert np.array_equal(fast, slow)


def test_another_scale_gives_another_noise_from_the_same_words():
    one = rounded_gaussian(SIGMAS[3] ** 2, 5_000, SeededEntropy(1))
    assert not np.array_equal(
        one, rounded_gaussian(SIGMAS[3] ** 2 * Fraction(101, 100), 5_000, SeededEntropy(1))
    )


# where the digits drawn so far leave two answers ------------------------------------------------------------


def one_draw(sigma_squared: Fraction, step_word: int, coin: int, digits: int, more: list[int]) -> int:
    """Draws once from these words: a first proposal, 16 more that are kept, and further digits."""
    proposals = 17
    # The first half of the words holds all steps and then all coins, 32 bits each.
    parts = [step_word, *[0] * (proposals - 1), coin, *[0] * (proposals - 1)]
    halves = [low | high << 32 for low, high in zip(parts[::2], parts[1::2], strict=True)]
    script = ScriptedEntropy([*halves, digits << 1, *[2**62 + 2] * (proposals - 1), *more])
    drawn = int(rounded_gaussian(sigma_squared, 1, script)[0])
    assert script.left == 0
    return drawn


@pytest.mark.parametrize("more, rounded", [([0], 0), ([2**64 - 1], 1)])
def test_a_position_on_the_border_of_two_integers_is_decided_by_its_next_digits(more, rounded):
    # At sigma = 20 the border sigma (fraction / 32) = 1/2 is at fraction = 16 / 20, whose first 63 digits are these.
    with mpmath.workprec(200):
        digits = int(mpmath.floor(mpmath.mpf(16) / 20 * 2**63))
    assert one_draw(Fraction(400), 0, 0, digits, more) == rounded


@pytest.mark.parametrize("away", [-1, 1])
def test_a_position_off_the_border_needs_no_more_digits(away):
    with mpmath.workprec(200):
        digits = int(mpmath.floor(mpmath.mpf(16) / 20 * 2**63))
    assert one_draw(Fraction(400), 0, 0, digits + away, []) == (away > 0)


@pytest.mark.parametrize("coin_digits, kept", [([0], True), ([2**64 - 1], False)])
def test_a_coin_on_the_border_is_decided_by_more_digits_of_both(coin_digits, kept):
    fraction = 2**62  # one half of a step, exactly, until more digits are drawn
    with mpmath.workprec(200):
        coin = int(mpmath.floor(mpmath.exp(-mpmath.mpf(1) / 4 / 2048) * 2**32))
    drawn = one_draw(Fraction(10**6), 0, coin, fraction, [0, *coin_digits])
    # 1000 * 0.5 / 32 = 15.6; the draws after it have a fraction of one quarter.
    assert drawn == (16 if kept else 8)


# the steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [16, 32, 96])
def test_the_bounds_of_the_cumulative_law_enclose_it_closely(bits):
    low, high = cumulative_bounds(bits)
    with mpmath.workprec(bits + 200):
        weights = [mpmath.exp(-mpmath.mpf(j * j) / (2 * STEPS**2)) for j in range(1_000)]
        total, passed = sum(weights), mpmath.mpf(0)
        for j, (below, above) in enumerate(zip(low, high, strict=True)):
            passed += weights[j]
            assert below <= passed / total * 2**bits <= above
            assert above - below <= 2


def test_the_first_bits_decide_as_more_bits_would():
    """Every value of the first 16 bits, with the least and the largest rest."""
    cells = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    low, high = cumulative_bounds(96)
    thresholds = sorted({bound >> 64 for bound in low})
    assert thresholds == sorted({min(bound, 2**96 - 1) >> 64 for bound in high})
    for words in (cells, cells | np.uint32(2**16 - 1)):
        sure = ~np.isin(words, thresholds)
        steps = normal_steps(words[sure], SeededEntropy(1))
        assert np.array_equal(steps, np.searchsorted(thresholds, words[sure]))
        assert sure.mean() > 0.99


@pytest.mark.parametrize("second, step", [(0, 0), (2**64 - 1, 1)])
def test_a_word_on_a_threshold_is_decided_by_the_next_one(second, step):
    word = cumulative_bounds(96)[0][0] >> 64
    script = ScriptedEntropy([second])
    assert normal_steps(np.array([word], dtype=np.uint32), script).tolist() == [step]
    assert script.left == 0


def test_the_far_tail_has_no_end():
    script = ScriptedEntropy([2**64 - 1, 2**63])
    assert normal_steps(np.array([2**32 - 1], dtype=np.uint32), script)[0] > 11 * STEPS


class StuckEntropy:
    def words(self, count: int) -> np.ndarray:
        return np.full(count, 2**64 - 1, dtype=np.uint64)


def test_randomness_that_is_stuck_is_refused():
    with pytest.raises(InternalError, match="Nothing was released"):
        rounded_gaussian(Fraction(1), 1, StuckEntropy())


# where the randomness comes from ---------------------------------------------------------------------------


def test_noise_comes_from_the_operating_system_by_default():
    assert rounded_gaussian.__defaults__ == (OS_ENTROPY,)


def after_seeding(**how) -> np.ndarray:
    np.random.seed(7)
    return rounded_gaussian(Fraction(10**6), 20, **how)


def test_seeding_numpy_does_not_repeat_noise():
    assert not np.array_equal(after_seeding(), after_seeding())


def test_the_repetition_test_finds_a_seeded_source():
    assert np.array_equal(after_seeding(entropy=SeededEntropy(7)), after_seeding(entropy=SeededEntropy(7)))


def test_forked_processes_draw_different_noise():
    command = [sys.executable, "-c", FORK]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
