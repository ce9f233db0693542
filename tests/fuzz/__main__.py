"""Fuzz targets one after the other, or one of them: ``python -m fuzz [TARGET] [--runs N] [--input FILE]``.

Each target runs in a process of its own, in a temporary folder. What it learns stays in ``.fuzz/TARGET/``; an input
that fails is written to ``.fuzz/`` and repeated with ``--input``.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.harness import TARGETS, load

KEPT = Path(__file__).parents[2] / ".fuzz"
_LONGEST = 1 << 10
"""Bytes of an input, unless a seed is longer."""
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own is made there
"""Where files are written: on a disk, most of the time would be spent on it."""
_SECONDS = 60
"""libFuzzer's own limit for an input that never ends; the harness's limit is one of processor time."""


def fuzzed(name, runs, seconds, repeated, guidance):
    """Run one target; returns its exit code."""
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    longest = _LONGEST
    for number, seed in enumerate(load(name).seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
        longest = max(longest, len(seed))
    options = [f"-artifact_prefix={KEPT}/{name}-", f"-max_len={longest}", f"-timeout={_SECONDS}", "-rss_limit_mb=2048"]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_MEMORY) as folder:
        words = [sys.executable, "-m", "fuzz.campaign", name, folder, guidance, *options]
        words += (
            [repeated]
            if repeated
            else [f"-runs={runs}", f"-max_total_time={seconds}", "-print_final_stats=1", str(corpus)]
        )
        path = os.pathsep.join([str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": folder}
        ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"stat::(\w+):\s+(\d+)", ended.stderr))
    executions = found.get("number_of_executed_units", "?")
    coverage = re.findall(r"cov: (\d+)", ended.stderr)[-1:] or ["?"]
    verdict = "nothing found" if ended.returncode == 0 else "FAILED"
    print(
        f"{name:<18} {executions:>9} executions {time.monotonic() - began:>6.0f} s"
        f" {coverage[0]:>6} branches {len(list(corpus.iterdir())):>6} inputs kept  {verdict}",
        flush=True,
    )
    if ended.returncode:
        print(ended.stdout[-4000:] + ended.stderr[-4000:], flush=True)
    return ended.returncode


def main():
    """Run the targets that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all by default: {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=100_000, help="executions of each target (100000)")
    parser.add_argument("--seconds", type=int, default=0, help="end each target after so many seconds (0: never)")
    parser.add_argument("--input", help="execute this input only, to repeat what a campaign has found")
    parser.add_argument(
        "--unguided",
        action="store_true",
        help="mutate what earlier runs learnt, three times as fast, and learn hardly anything",
    )
    words = parser.parse_args()
    unknown = set(words.targets) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    repeated = words.input and str(Path(words.input).absolute())
    guidance = "unguided" if words.unguided else "guided"
    return max(fuzzed(name, words.runs, words.seconds, repeated, guidance) for name in words.targets or TARGETS)


if __name__ == "__main__":
    sys.exit(main())
