from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from spark_dp.errors import InternalError
from spark_dp.privacy.noise import LARGEST_SIGMA_SQUARED, SMALLEST_SIGMA_SQUARED, discrete_gaussian


@pytest.mark.parametrize("sigma_squared", [SMALLEST_SIGMA_SQUARED, Fraction(1), Fraction(2**80 + 1, 3)])
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_noise_is_int64_of_the_size_asked_for(sigma_squared, size):
    noise = discrete_gaussian(sigma_squared, size)
    assert noise.dtype == np.int64
    assert noise.shape == (size,)


def test_the_largest_noise_allowed_stays_far_from_overflow():
    noise = discrete_gaussian(LARGEST_SIGMA_SQUARED - 1, 20_000)
    assert 2**45 < np.abs(noise).max() < 2**49


def test_tiny_noise_is_all_zero():
    assert not discrete_gaussian(Fraction(1, 10**6), 10_000).any()


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
        discrete_gaussian(sigma_squared, 1)


def test_a_negative_size_is_refused():
    with pytest.raises(InternalError):
        discrete_gaussian(Fraction(1), -1)
