import pytest
from support.planned import visits_account


@pytest.fixture
def ledger(tmp_path):
    return visits_account(tmp_path)
