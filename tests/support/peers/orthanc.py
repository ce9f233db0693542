"""Orthanc, as shipped but for what a test needs: ports and folders of its own, no password, every SOP class taken."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.peers.programs import START_SECONDS, Running, find_program, made, reserved_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Orthanc:
    """A running Orthanc."""

    port: int
    """Where it takes associations."""
    rest_port: int
    running: Running

    async def count(self) -> int:
        """Ask how many instances it holds."""
        return (await self.ask("/statistics"))["CountInstances"]

    async def sop_instance_uids(self) -> set[str]:
        """Ask which instances it holds."""
        instances = await self.ask("/instances?expand")
        return {instance["MainDicomTags"]["SOPInstanceUID"] for instance in instances}

    async def ask(self, path: str) -> Any:
        """Get the answer of its REST interface, which is JSON."""
        return json.loads(await asyncio.to_thread(self._get, path))

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}{path}", timeout=30) as response:
            return response.read()

    def output(self) -> str:
        """Return its log so far."""
        return self.running.output()


@asynccontextmanager
async def running_orthanc(folder: Path, **configuration: object) -> AsyncIterator[Orthanc]:
    """Run Orthanc.

    Args:
        folder: for its configuration, index and storage. It is created.
        configuration: more of its settings, or other values, by their names in its configuration file.
    """
    program = find_program("Orthanc", "orthanc")
    made(folder)

    def words(port: int) -> list[str]:
        settings = {
            "Name": "Orthanc of a test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [],
            "DicomServerEnabled": True,
            "DicomPort": port,
            "DicomCheckCalledAet": False,
            "UnknownSopClassAccepted": True,
            "HttpServerEnabled": True,
            "HttpPort": rest_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            **configuration,
        }
        file = folder / "orthanc.json"
        file.write_text(json.dumps(settings))
        return [program, str(file)]

    with reserved_port() as rest_port:
        async with running(words) as peer:
            orthanc = Orthanc(peer.port, rest_port, peer)
            await _answers(orthanc)
            yield orthanc


async def _answers(orthanc: Orthanc) -> None:
    """Wait until its REST interface answers: it opens after the DICOM port."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await orthanc.count()
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return
