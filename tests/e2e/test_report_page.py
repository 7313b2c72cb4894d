"""The report as a page: made of released artefacts alone, and the same whenever it is made."""

from __future__ import annotations

import shutil

import pytest
from support.visits import Site

from spark_dp.pipeline import stages
from spark_dp.pipeline.runner import run_all

pytestmark = pytest.mark.spark


def test_the_page_is_made_again_byte_by_byte_from_what_was_released(tmp_path, spark):
    site = Site.make(tmp_path)
    run_all(site.run(spark))
    before = site.released()
    page = before["report/report.html"].decode()
    assert "differential privacy" in page and "report/report.txt" in before
    assert str(tmp_path) not in page
    shutil.rmtree(site.run_folder / "released" / "report")
    shutil.rmtree(site.folder / "in")
    (site.folder / "ledger.db").unlink()
    stages.report(site.run(None))
    assert site.released() == before
