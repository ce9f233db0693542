"""Runs one target under atheris: ``python -m fuzz.campaign TARGET FOLDER [options of libFuzzer] [corpus]``."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["asyncstore"]):
    from fuzz.harness import execution, load

    target = load(sys.argv[1])

atheris.Setup([sys.argv[0], *sys.argv[3:]], execution(target, Path(sys.argv[2])))
atheris.Fuzz()
