"""The levels of a grid through the curator: the noise of m marginals, and one unit more moves what noise hides."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from desk import DATASET, Desk
from scripted import SeededEntropy

from spark_dp.errors import InternalError
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.grid_estimate import GridEstimate
from spark_dp.privacy.grid_levels import GridLevels
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.columns import Column
from spark_dp.schema.grid import cut_column, fine_column, grid_of
from spark_dp.schema.table import TableSchema

K, RHO = 6, Fraction(1, 300)
UNIT = Contribution(max_rows=K, unit=1, neighbours=Neighbours.ADD_REMOVE)
DELAY = Column.from_settings(
    "delay", {"type": "integer", "min": -500, "max": 3499, "bins": 20, "nullable": True}
)
FINE = fine_column(DELAY)
GRID = grid_of(FINE)
COUNTS = np.zeros(FINE.size, np.int64)
COUNTS[450:700] = 40
COUNTS[-1] = 900


def measured(folder: Path, counts: np.ndarray, contribution: Contribution = UNIT) -> tuple[Measurement, ...]:
    folder.mkdir(exist_ok=True)
    desk = Desk(folder)
    curator = Curator(
        domain=GRID.domain,
        contribution=contribution,
        source=GridLevels(GRID, lambda: counts),
        account=desk.begin(),
        answers=desk.blobs(),
        entropy=SeededEntropy(9),
    )
    found = curator.measure("preprocess/bins/delay", [(level,) for level in GRID.levels], rho=RHO)
    (query,) = desk.ledger.history(DATASET)[0].queries
    assert query.event.rho == RHO
    return found


def one_unit_more(at: int, rows: int = K) -> np.ndarray:
    counts = COUNTS.copy()
    counts[at] += rows
    return counts


def moved(one: tuple[Measurement, ...], other: tuple[Measurement, ...]) -> int:
    """The squared L2 distance of two answers with the same noise."""
    return sum(int(((a.noisy - b.noisy) ** 2).sum()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("at", [0, 460, 3999, 4000], ids=["lowest", "dense", "highest", "null"])
def test_a_unit_moves_the_levels_by_no_more_than_the_noise_is_made_for(tmp_path, at):
    one, other = measured(tmp_path / "a", COUNTS), measured(tmp_path / "b", one_unit_more(at))
    assert moved(one, other) == UNIT.marginals_l2_squared(len(GRID.levels))
    assert one[0].sigma_squared == Fraction(len(GRID.levels) * K**2) / (2 * RHO)


def test_a_unit_of_more_rows_than_its_bound_would_move_them_further(tmp_path):
    one, other = measured(tmp_path / "a", COUNTS), measured(tmp_path / "b", one_unit_more(3999, K + 1))
    assert moved(one, other) > UNIT.marginals_l2_squared(len(GRID.levels))


def cut(measurements: tuple[Measurement, ...]) -> Column:
    starts, last = GridEstimate.of(GRID, measurements).bins_of_equal_mass(12)
    return cut_column(FINE, starts, last, nullable=True)


def test_an_outlier_of_one_unit_moves_no_bound(tmp_path):
    """With the same noise, the bounds of a table and of the table with one unit at the far end are the same."""
    without, with_it = (
        cut(measured(tmp_path / "a", COUNTS)),
        cut(measured(tmp_path / "b", one_unit_more(3999))),
    )
    assert (without.min, without.max) == (with_it.min, with_it.max)
    assert -60 <= without.min <= 0
    assert 150 <= without.max <= 260


def test_many_units_there_do_move_it(tmp_path):
    crowd = cut(measured(tmp_path / "a", one_unit_more(3999, 4000)))
    assert crowd.max == DELAY.max


def test_learned_bins_are_a_valid_schema_that_reads_back(tmp_path):
    column = cut(measured(tmp_path / "a", COUNTS))
    schema = TableSchema(columns=(column,))
    assert TableSchema.from_json(schema.to_json()) == schema
    assert column.nullable
    assert 2 <= column.declared <= 12


def test_a_grid_depends_on_what_is_declared_alone():
    assert GRID.cells == 4000
    assert fine_column(DELAY) == fine_column(Column.from_json(DELAY.to_json()))


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "integer", "min": 3, "max": 3, "bins": 1},
        {"type": "byte", "min": -128, "max": 127, "bins": 9},
        {"type": "float", "min": 0, "max": 1e-3, "bins": 9, "nullable": True},
        {"type": "double", "min": -1e9, "max": 1e9, "bins": 9, "nan": 5e8},
        {
            "type": "double",
            "min": 0,
            "max": 1,
            "bins": 9,
            "nan": "null",
            "infinity": "null",
            "nullable": True,
        },
        {"type": "decimal(10,2)", "min": 0, "max": "99.99", "bins": 9},
        {"type": "date", "min": "2024-01-01", "max": "2024-12-31", "bins": 9},
        {
            "type": "timestamp",
            "min": "2024-01-01",
            "max": "2025-01-01",
            "bins": 9,
            "timezone": "Europe/Berlin",
        },
    ],
    ids=lambda s: s["type"],
)
@pytest.mark.parametrize("nullable", [True, False])
def test_any_run_of_cells_makes_a_column(settings, nullable):
    fine = fine_column(Column.from_settings("x", settings))
    rng = np.random.default_rng(1)
    for _ in range(30):
        last = int(rng.integers(0, fine.declared))
        starts = sorted({int(s) for s in rng.integers(0, last + 1, 6)})
        column = cut_column(fine, starts, last, nullable=nullable and fine.nullable)
        assert 1 <= column.declared <= len(starts)
        assert column.nullable == (nullable and fine.nullable)
        assert Column.from_json(column.to_json()) == column


def test_cells_of_a_wrong_shape_are_refused():
    with pytest.raises(InternalError):
        GridLevels(GRID, lambda: COUNTS[:-1]).count([(GRID.levels[0],)])
    with pytest.raises(InternalError):
        GridLevels(GRID, lambda: COUNTS.astype(np.float64)).count([(GRID.levels[0],)])  # type: ignore[arg-type]
