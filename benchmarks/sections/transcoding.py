"""Decoding beside the programs that do it today, instances that pass through meanwhile, and memory."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.data import CT
from benchmarks.peers import storescp
from benchmarks.processes import Cost, RunFailed, run
from benchmarks.programs import asyncstore_program, their_program
from benchmarks.report import CAPTION, Table
from benchmarks.rounds import Spread, ratios, say, take_turns
from benchmarks.sections.memory import Watch
from benchmarks.standing import DECODING, MIX

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

_EXPLICIT = "1.2.840.10008.1.2.1"
_JPEG_2000 = "1.2.840.10008.1.2.4.90"
_SIDE = 512
_IN_MIX = 20
"""One in so many instances of the mix is compressed: 5 %."""


class _Codec(NamedTuple):
    """A way to compress, and the program that decompresses it."""

    name: str
    bits: int
    samples: int
    encoder: tuple[str, ...]
    """The command that compresses; empty: asyncstore does."""
    decoder: tuple[str, ...]
    """The command that decompresses."""


_CODECS = (
    _Codec("JPEG baseline, 8 bits", 8, 1, ("dcmcjpeg", "+eb"), ("dcmdjpeg",)),
    _Codec("JPEG baseline, colour", 8, 3, ("dcmcjpeg", "+eb"), ("dcmdjpeg",)),
    _Codec("JPEG extended, 12 bits", 12, 1, ("dcmcjpeg", "+ee"), ("dcmdjpeg",)),
    _Codec("JPEG lossless, 12 bits", 12, 1, ("dcmcjpeg", "+e1"), ("dcmdjpeg",)),
    _Codec("JPEG-LS lossless, 12 bits", 12, 1, ("dcmcjpls",), ("dcmdjpls",)),
    _Codec("RLE, 12 bits", 12, 1, ("dcmcrle",), ("dcmdrle",)),
    _Codec("JPEG 2000 lossless, 12 bits", 12, 1, (), ("gdcmconv", "--raw")),
)


_JPEG_LOSSLESS, _J2K = _CODECS[3], _CODECS[6]


def measure(bench: Bench) -> None:
    """Measure each codec, then two of them with fewer processes, the mix, and memory."""
    _measure_codecs(bench)
    _measure_processes(bench)
    _measure_mix(bench)
    _measure_memory(bench)


def _measure_codecs(bench: Bench) -> None:
    cores = len(os.sched_getaffinity(0))
    table = _decoding_table(bench, f"{cores} processes at the same time", "codec")
    for codec in _CODECS:
        ratio = _row(bench, table, codec.name, codec, cores)
        if ratio is not None:
            bench.stands(DECODING, f"{codec.name}, against {codec.decoder[0]}", ratio)
    bench.report(table)


def _measure_processes(bench: Bench) -> None:
    """Measure how decompression grows with the number of processes, up to one for each core."""
    table = _decoding_table(bench, "more and more processes", "codec, processes")
    cores = len(os.sched_getaffinity(0))
    numbers = sorted({*(1 << power for power in range(cores.bit_length()) if 1 << power <= cores), cores})
    for codec in (_JPEG_LOSSLESS, _J2K):
        for processes in numbers:
            _row(bench, table, f"{codec.name}, {processes}", codec, processes)
    bench.report(table)


def _decoding_table(bench: Bench, how: str, first: str) -> Table:
    return Table(
        f"Decompression, {bench.scale.decoded} frames of {_SIDE} x {_SIDE}, {how}",
        (first, "asyncstore MB/s", "the program", "its MB/s", "asyncstore / it", "CPU of it / asyncstore"),
        notes=[
            CAPTION,
            "MB of decompressed pixel data; the time of one frame is subtracted, and with it the start-up",
            "files in memory",
        ],
    )


def _row(bench: Bench, table: Table, title: str, codec: _Codec, processes: int) -> Spread | None:
    """Add a row about a codec; the ratio of MB/s, ``None`` if the other program is not installed."""
    program = codec.decoder[0]
    if shutil.which(their_program(program)) is None:
        table.notes.append(f"{program} is not installed")
        return None
    whole, size = _compressed(bench.folder, codec, bench.scale.decoded)
    start, _ = _compressed(bench.folder, codec, 1)
    costs = take_turns(
        title,
        {
            "asyncstore": partial(_steady, ("python", "-m", "benchmarks.decode", _EXPLICIT), whole, start, processes),
            program: partial(_steady, codec.decoder, whole, start, processes),
        },
        bench.scale.rounds,
    )
    rates = {name: [processes * size / cost.wall / 1e6 for cost in of_one] for name, of_one in costs.items()}
    mine, other = rates.values()
    ratio = ratios(mine, other)
    cpu = ratios(*([cost.cpu for cost in costs[name]] for name in (program, "asyncstore")))
    table.rows.append((title, Spread.of(mine).shown(0), program, Spread.of(other).shown(0), ratio.shown(), cpu.shown()))
    table.samples[title] = [cost._asdict() for of_one in costs.values() for cost in of_one]
    return ratio


def _steady(words: tuple[str, ...], whole: Path, start: Path, processes: int) -> Cost:
    """The cost of decoding ``whole`` in so many processes at the same time, less that of ``start``, one frame.

    It is not a number if the machine was so busy that one frame took longer.
    """
    program = sys.executable if words[0] == "python" else their_program(words[0])
    costs = []
    for path in (start, whole):
        outputs = [()] * processes if words[0] == "python" else [(f"{path}.{number}",) for number in range(processes)]
        costs.append(run([[program, *words[1:], str(path), *output] for output in outputs]))
    return Cost(*(after - before if after > before else math.nan for before, after in zip(*costs, strict=True)))


def _measure_mix(bench: Bench) -> None:
    """Send CT instances alone, and mixed with compressed ones; the rate of those that pass through."""
    archive = bench.archives.get(CT, bench.scale.mixed)
    codec = _JPEG_LOSSLESS
    path, _ = _compressed(bench.folder, codec, 1)
    folder = bench.folder / "mixed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, part in enumerate(archive.folders):
        (folder / f"{number}").symlink_to(part)
        for copy in range(bench.scale.mixed // _IN_MIX // len(archive.folders)):
            shutil.copy(path, folder / f"{number}-{copy}.dcm")
    title = f"{bench.scale.mixed:,} x {CT.name} that pass through, and 5 % {codec.name} that are decompressed"
    with storescp("+xe", no_delay=True) as port:
        rates = take_turns(
            title,
            {
                "alone": partial(_rate, port, [str(part) for part in archive.folders]),
                "mixed": partial(_rate, port, [str(folder)]),
            },
            bench.scale.rounds,
        )
    ratio = ratios(rates["mixed"], rates["alone"])
    table = Table(
        title,
        ("files", "passed through/s", "of alone"),
        [(name, Spread.of(of_one).shown(0), ratios(of_one, rates["alone"]).shown()) for name, of_one in rates.items()],
        notes=[CAPTION, "until the last of those that pass through is stored; to storescp +xe --fork --ignore"],
    )
    bench.stands(MIX, f"{bench.scale.mixed:,}", ratio)
    bench.report(table)


def _measure_memory(bench: Bench) -> None:
    """Send compressed instances to a peer that takes none, while memory is sampled."""
    folder = bench.folder / "transcoded"
    path, size = _compressed(bench.folder, _JPEG_LOSSLESS, 1)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(bench.scale.transcoded):
        shutil.copy(path, folder / f"{number}.dcm")
    table = Table(
        f"Peak memory, {bench.scale.transcoded} x CT, {_JPEG_LOSSLESS.name}, decompressed to {size / 1e3:.0f} kB each",
        ("associations", "s", "main process, MB", "largest worker, MB", "workers together, MB"),
        notes=[
            "the high-water mark of resident memory, sampled from /proc; the largest of the rounds",
            "to storescp +xe --fork --ignore; libraries that workers share are counted for each",
        ],
    )
    with storescp("+xe", no_delay=True) as port:
        for associations in ("1", "8"):
            say(f"memory: {associations} associations")
            words = [asyncstore_program(), "send", "-nh", "--progress", "off", "--associations", associations]
            words += ["127.0.0.1", str(port), str(folder)]
            watches = [Watch() for _ in range(bench.scale.memory_rounds)]
            walls = [run([words], sample=watch).wall for watch in watches]
            peaks = [
                max(getattr(watch, what) for watch in watches) / 1e6 for what in ("main", "largest_worker", "workers")
            ]
            table.rows.append((associations, Spread.of(walls).shown(), *(f"{peak:.0f}" for peak in peaks)))
            table.commands[associations] = shlex.join(["asyncstore", *words[1:-2], "PORT", "FOLDER"])
    bench.report(table)


def _rate(port: int, paths: list[str]) -> float:
    """Instances that passed through a second, until the last of them was stored."""
    words = [asyncstore_program(), "send", "-nh", "--progress", "off", "--json", "-", "127.0.0.1", str(port), *paths]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RunFailed(done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    passed = [line for line in lines if line["type"] == "outcome" and line["transfer_syntax_uid"] == _EXPLICIT]
    return len(passed) / (_seconds(passed[-1]["time"]) - _seconds(lines[0]["time"]))


def _seconds(time: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(time).timestamp()


def _compressed(folder: Path, codec: _Codec, frames: int) -> tuple[Path, int]:
    """A compressed file of so many frames, and the bytes of its pixel data when it is decompressed."""
    native = folder / "native.dcm"
    size = _write_native(native, codec, frames)
    path = folder / f"{codec.name.replace(' ', '-')}-{frames}.dcm"
    if codec.encoder:
        subprocess.run([their_program(codec.encoder[0]), *codec.encoder[1:], native, path], check=True)
    else:
        _by_asyncstore(native, path)
    return path, size


def _write_native(path: Path, codec: _Codec, frames: int) -> int:
    """Write an image of a cone and some noise, as a scanner makes them; the bytes of its pixel data."""
    import numpy as np  # of the extra for codecs
    from pydicom import Dataset, dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, generate_uid

    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    cone = np.hypot(rows - _SIDE / 2, columns - _SIDE / 2) * (1 << codec.bits - 2) / (_SIDE / 2)
    noisy = cone[..., None] + random.normal(0, 4, (frames, _SIDE, _SIDE, codec.samples))
    pixels = np.clip(noisy, 0, (1 << codec.bits) - 1).astype("u1" if codec.bits <= 8 else "<u2")
    made = Dataset()
    made.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.7.{4 if codec.samples == 3 else 2 if codec.bits <= 8 else 3}"
    made.SOPInstanceUID = made.StudyInstanceUID = generate_uid()
    made.SamplesPerPixel, made.PhotometricInterpretation = codec.samples, "RGB" if codec.samples == 3 else "MONOCHROME2"
    if codec.samples > 1:
        made.PlanarConfiguration = 0
    made.NumberOfFrames, made.Rows, made.Columns = frames, _SIDE, _SIDE
    made.BitsAllocated, made.BitsStored, made.HighBit = 8 * pixels.itemsize, codec.bits, codec.bits - 1
    made.PixelRepresentation = 0
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OB" if codec.bits <= 8 else "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(_EXPLICIT)
    dcmwrite(path, made, enforce_file_format=True)
    return int(pixels.nbytes)


def _by_asyncstore(native: Path, path: Path) -> None:
    """Compress a file with asyncstore's own encoder."""
    from openjpeg.utils import encode_array
    from pydicom import dcmread  # of the extra for codecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    data_set = dcmread(native)
    frames = [
        encode_array(frame, bits_stored=data_set.BitsStored) for frame in data_set.pixel_array.reshape(-1, _SIDE, _SIDE)
    ]
    data_set.PixelData = encapsulate(frames)
    data_set["PixelData"].VR, data_set["PixelData"].is_undefined_length = "OB", True
    data_set.file_meta.TransferSyntaxUID = UID(_JPEG_2000)
    data_set.save_as(path, enforce_file_format=True)
