"""A file of metrics for a collector that reads files, such as node_exporter's textfile collector.

Rules:

1. A reader sees a whole version, never a half: a new file is written in the same folder, and takes the name.
2. Everybody may read it (0644): the collector runs as a user of its own. Metrics hold nothing about patients.
3. Whether it can be written is known before anything is sent. Nothing is written until then, so a run that is refused
   leaves the file of another one alone.
4. A symbolic link stays one. Only regular files are replaced: ``/dev/null`` stays a device.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERYBODY_READS = 0o644


class MetricsFile:
    """A file that is replaced as a whole.

    Args:
        path: its name.

    Raises:
        OSError: it cannot be written.
        ValueError: it is something else than a regular file, or the name holds a NUL character.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(os.path.realpath(path))
        if self._path.exists() and not self._path.is_file():
            raise ValueError("it is not a regular file")
        with self._new(b"\n"):  # on a full disk an empty file could be made
            pass

    @property
    def stem(self) -> str:
        """The name without its folder and its suffix."""
        return self._path.stem

    def replace(self, content: bytes) -> None:
        """Write a new version. It may block, so it is called in a thread while a run goes on.

        Raises:
            OSError: it could not be written; the old version is still there.
        """
        with self._new(content) as new:
            new.replace(self._path)

    @contextmanager
    def _new(self, content: bytes) -> Iterator[Path]:
        """Within this context there is a new file in the same folder; it is removed unless it has taken the name.

        node_exporter overlooks it: it reads names that end in ``.prom``.
        """
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            path.chmod(_EVERYBODY_READS)
            yield path
        finally:
            with suppress(OSError):
                path.unlink()
