"""Where the journals of these tests lie."""

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"
