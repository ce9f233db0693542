"""Odil's storage SCP. It answers in another context than that of the request, if both have the same SOP class."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.peers.programs import find_system_python_with, made, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SCRIPT = Path(__file__).with_name("odil_scp.py")


@dataclass
class OdilSCP:
    """A running SCP."""

    port: int
    file: Path

    def stored(self) -> dict[str, str]:
        """Return what it received: the SHA-256 of the pixel data by SOP instance UID."""
        return dict(line.split() for line in self.file.read_text().splitlines())


@asynccontextmanager
async def running_odil(folder: Path) -> AsyncIterator[OdilSCP]:
    """Run it.

    Args:
        folder: where it writes down what it receives. It is created.
    """
    python = find_system_python_with("odil", "python3-odil")
    file = made(folder) / "received"
    async with running(lambda port: [python, "-I", str(_SCRIPT), str(port), str(file)]) as peer:
        yield OdilSCP(peer.port, file)
