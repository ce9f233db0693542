import pytest

from support.differential.archive import written
from support.differential.programs import recorder as running_recorder


@pytest.fixture(scope="session")
def recorder():
    with running_recorder() as one:
        yield one


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    return written(tmp_path_factory.mktemp("differential") / "archive")
