"""Command lines that run one of our modules in a new interpreter, which imports from trusted folders only.

An interpreter with ``-m`` or ``-c`` searches the working directory before the standard library. That directory may be a
CD or an unpacked archive with a hostile ``struct.py``.

Paths are strings here: pathlib takes 3 ms to import, and a worker process is started before anything else.
"""

from __future__ import annotations

import os
import sys

from asyncstore.errors import PrepareError

_IMPORT_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

_STARTUP = "import sys; sys.path += {folders!a}; from {module} import main; sys.exit(main())"
"""``!a``: folder names may hold bytes that an argument cannot carry as text."""


def isolated(module: str) -> list[str]:
    """The words of a command line that calls ``main()`` of ``module``; more words become its ``sys.argv[1:]``.

    The interpreter searches the standard library first (``-I -S``: no working directory, no ``PYTHON*`` variables, no
    site packages), then the folder of this package, then the folders that this process searches for its dependencies:
    a virtual environment, the user's site packages, ``PYTHONPATH``.

    Raises:
        PrepareError: this process is a program that embeds Python, and names no interpreter.
    """
    if not sys.executable:
        raise PrepareError("cannot start another process: sys.executable names no Python interpreter")
    utf8 = f"utf8={sys.flags.utf8_mode}"  # -I ignores PYTHONUTF8, and both processes must decode file names alike
    startup = _STARTUP.format(folders=[_IMPORT_ROOT, *_searched_here()], module=module)
    return [sys.executable, "-I", "-S", "-X", utf8, "-c", startup]


def _searched_here() -> list[str]:
    """The folders that this process searches for modules, except the working directory."""
    return [
        str(folder)
        for folder in sys.path
        if os.path.isabs(folder) and folder != _IMPORT_ROOT and not _is_working_directory(folder)
    ]


def _is_working_directory(folder: str) -> bool:
    """Whether a folder is the working directory, also by another name."""
    try:
        return os.path.samefile(folder, os.curdir)
    except OSError:  # sys.path may name missing folders
        return False
