from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from scripted import SeededEntropy

from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.noise import discrete_gaussian

FORK = """
import os, sys
from fractions import Fraction
import numpy as np
from spark_dp.privacy.noise import discrete_gaussian
np.random.seed(1)
discrete_gaussian(Fraction(10**6), 10)
reading, writing = os.pipe()
child = os.fork()
noise = discrete_gaussian(Fraction(10**6), 20)
if child == 0:
    os.write(writing, noise.tobytes())
    os._exit(0)
os.waitpid(child, 0)
print(np.array_equal(np.frombuffer(os.read(reading, 10000), dtype=np.int64), noise))
"""


def draw_after_seeding(entropy: Entropy) -> np.ndarray:
    np.random.seed(7)
    return entropy.words(8)


def test_words_are_64_bits_each():
    words = OS_ENTROPY.words(1000)
    assert words.dtype == np.uint64
    assert words.shape == (1000,)
    assert len(set(words.tolist())) == 1000
    assert int(np.bitwise_or.reduce(words)) == 2**64 - 1


def test_seeding_numpy_does_not_repeat_a_draw():
    assert not np.array_equal(draw_after_seeding(OS_ENTROPY), draw_after_seeding(OS_ENTROPY))


def test_the_repetition_test_finds_a_seeded_source():
    assert np.array_equal(draw_after_seeding(SeededEntropy(7)), draw_after_seeding(SeededEntropy(7)))


def test_forked_processes_draw_different_noise():
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_noise_comes_from_the_operating_system_by_default():
    assert discrete_gaussian.__defaults__ == (OS_ENTROPY,)
