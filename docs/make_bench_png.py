"""Draw docs/bench.png, the page of a measurement as a browser shows it.

    asyncstore bench --stages 20s:300/s,20s:1600/s,10s:1600/s,10s:300/s,10s:300/s --size 132K --threshold 'p99<2s' \
        --threshold 'failed<0.1%' --json bench.json -aec ORTHANC localhost 4242
    python docs/make_bench_png.py bench.json

The measurement is a real one, of Orthanc as Debian has it. Chromium draws its page.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from asyncstore.cli.bench_page.page import page
from asyncstore.load.results.json_file import load_document

_TARGET = Path(__file__).with_name("bench.png")
_WIDTH, _HEIGHT = 1000, 990
_MOST = 150_000
"""Bytes of a picture that a README loads."""


def main() -> None:
    """Draw the picture."""
    [path] = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "page.html"
        shown.write_text(page(load_document(path)), encoding="utf-8")
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",
            f"--user-data-dir={folder}/profile",
            f"--window-size={_WIDTH},{_HEIGHT}",
            f"--screenshot={_TARGET}",
            shown.as_uri(),
        ]
        subprocess.run(command, check=True)  # noqa: S603 - these words are ours
    size = _TARGET.stat().st_size
    if size > _MOST:
        sys.exit(f"{_TARGET} has {size} bytes, more than {_MOST}: make it smaller")


if __name__ == "__main__":
    main()
