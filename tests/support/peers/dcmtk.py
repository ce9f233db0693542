"""DCMTK's programs: storescp as the peer that stores, storescu and echoscu as witnesses against our own acceptors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.peers.programs import Finished, Running, find_program, made, run, running
from support.trees import data_sets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

WITHOUT_NAGLE = {"TCP_NODELAY": "1"}
"""An environment in which DCMTK's programs do not wait for delayed acknowledgements."""


@dataclass
class StoreSCP:
    """A running storescp."""

    port: int
    folder: Path
    running: Running

    def stored(self) -> dict[str, str]:
        """Return what it stored: the SHA-256 of the data set by SOP instance UID."""
        return data_sets(self.folder)

    def output(self) -> str:
        """Return what it printed so far; give ``-v`` or ``-d`` among the options to see more."""
        return self.running.output()


@asynccontextmanager
async def running_storescp(
    folder: Path,
    *options: str,
    bit_preserving: bool = True,
    fork: bool = True,
    ignore: bool = False,
    transfer_syntaxes: str | None = "+xa",
    environment: Mapping[str, str] | None = WITHOUT_NAGLE,
) -> AsyncIterator[StoreSCP]:
    """Run storescp.

    Args:
        folder: where it stores, by SOP instance UID: an instance stored twice is one file. It is created.
        options: more of its options.
        bit_preserving: it writes each data set exactly as it was received.
        fork: it serves several associations at once.
        ignore: it receives and stores nothing.
        transfer_syntaxes: the option that says which it accepts, by default all; ``None``: it is among the others.
        environment: variables it gets besides the test's own.
    """
    program = find_program("storescp", "dcmtk")
    chosen = [*options, *([transfer_syntaxes] if transfer_syntaxes else []), "-od", made(folder)]
    chosen += ["+B"] * bit_preserving + ["--fork"] * fork + ["--ignore"] * ignore
    async with running(lambda port: [program, *chosen, str(port)], environment) as peer:
        yield StoreSCP(peer.port, folder, peer)


async def storescu(port: int, files: Iterable[Path], *options: str) -> Finished:
    """Send files with storescu to a port of loopback."""
    return await run(
        find_program("storescu", "dcmtk"), *options, "127.0.0.1", str(port), *files, environment=WITHOUT_NAGLE
    )


async def echoscu(port: int, *options: str) -> Finished:
    """Verify a port of loopback with echoscu."""
    return await run(find_program("echoscu", "dcmtk"), *options, "127.0.0.1", str(port), environment=WITHOUT_NAGLE)
