"""Many rows of a table in one test: all are checked, and those that fail are named.

with rows() as row:
    for name, value in TABLE.items():
        with row(name):
            assert value
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def rows() -> Iterator[Callable[[object], AbstractContextManager[None]]]:
    """Provide a context for each row.

    Raises:
        ExceptionGroup: some rows failed. Each error has a note with the name of its row.
    """
    failed: list[Exception] = []

    @contextmanager
    def row(name: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is raised in the end
            error.add_note(f"row: {name}")
            failed.append(error)

    yield row
    if failed:
        raise ExceptionGroup("rows that fail", failed)
