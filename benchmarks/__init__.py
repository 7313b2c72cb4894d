"""The measurements behind every performance claim, each beside its peer or its physical limit, in one run.

    python -m benchmarks                 all
    python -m benchmarks counting        one

Machines are noisy: what counts is the ratio of two figures of one run, not a figure by itself.
"""
