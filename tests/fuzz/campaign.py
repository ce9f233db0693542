"""Runs one target under atheris: ``python -m fuzz.campaign TARGET FOLDER guided|unguided [options] [corpus]``.

Unguided, only the branches of the target itself are measured, not those of asyncstore. That is three times as fast,
and mutates all that guided runs have learnt.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import atheris

_, name, folder, guidance, *options = sys.argv
is_guided = guidance == "guided"
with atheris.instrument_imports(include=["asyncstore"]) if is_guided else nullcontext():
    from fuzz.harness import execution, load

    target = load(name)
if not is_guided:
    target.execute = atheris.instrument_func(target.execute)
    options.insert(0, "-keep_seed=1")

atheris.Setup([sys.argv[0], *options], execution(target, Path(folder)))
atheris.Fuzz()
