"""Command lines that run a module of ours in a fresh interpreter, which searches only trusted folders for modules.

An interpreter that starts with ``-m`` or ``-c`` searches the working directory before the standard library. That may
be a CD or an unpacked archive of somebody else's, with a ``struct.py`` in it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_IMPORT_ROOT = str(Path(__file__).resolve().parent.parent)

_STARTUP = "import sys; sys.path += {folders!a}; from {module} import main; sys.exit(main())"
"""``a``: names of folders may hold bytes that no argument can carry as text."""


def isolated(module: str) -> list[str]:
    """The words of a command line that calls ``main()`` of ``module``; more words become its ``sys.argv[1:]``.

    The interpreter searches the standard library first (``-I -S``: no working directory, no ``PYTHON*`` variables, no
    site packages), then the folder of this package, then the folders that this process searches, which are wherever
    our dependencies come from: a virtual environment, the user's site packages, ``PYTHONPATH``.
    """
    utf8 = f"utf8={sys.flags.utf8_mode}"  # -I ignores PYTHONUTF8, and both sides have to read file names alike
    startup = _STARTUP.format(folders=[_IMPORT_ROOT, *_searched_here()], module=module)
    return [sys.executable, "-I", "-S", "-X", utf8, "-c", startup]


def _searched_here() -> list[str]:
    """The folders that this process searches for modules, except the working directory."""
    return [
        str(folder)
        for folder in sys.path
        if Path(folder).is_absolute() and folder != _IMPORT_ROOT and not _is_working_directory(folder)
    ]


def _is_working_directory(folder: str) -> bool:
    """Whether it is, by whatever name."""
    try:
        return Path(folder).samefile(os.curdir)
    except OSError:  # there is no such folder, as there need not be
        return False
