"""What tests of outputs share."""

import pytest


@pytest.fixture
def path(tmp_path):
    """An output below a folder whose name looks like a partition's."""
    (tmp_path / "region=eu").mkdir()
    return str(tmp_path / "region=eu" / "out")
