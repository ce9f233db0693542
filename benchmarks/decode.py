"""Decode files as a worker process does, and drop what comes of it: ``python -m benchmarks.decode UID FILE...``."""

from __future__ import annotations

import sys
import tempfile

from asyncstore.model import Instance, SourceFile
from asyncstore.prepare import spool
from asyncstore.prepare.conversion import Settings, convert
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import CONVERTED, Order, found
from asyncstore.prepare.probe import probe_file


def main() -> int:
    """Convert the named files, and return the exit code."""
    uid, *paths = sys.argv[1:]
    settings = Settings(tempfile.gettempdir(), transcodes=True)
    for path in paths:
        [probed] = found([SourceFile(path)], [probe_file(path, FileFormat.ANY)])
        if not isinstance(probed, Instance):
            print(probed)
            return 1
        for answer in convert([Order(probed, uid, probed.sop_instance_uid)], settings):
            if answer[0] != CONVERTED:
                print(answer)
                return 1
        spool.close_written()
    return 0


if __name__ == "__main__":
    sys.exit(main())
