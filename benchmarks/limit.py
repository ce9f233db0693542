"""The least that a Python sender can cost: the row "limit" of the pass-through tables.

    python -m benchmarks.limit [--associations N] HOST PORT FOLDER ...

It can send only the files of the benchmarks: CT images in explicit VR little endian whose group 0002 names the SOP
instance. It has one thread, one epoll loop and one outstanding store for each association, but no probe, no checks of
files and responses, no outcomes, no display. The time that asyncstore takes beyond this is the price of all that.

It imports nothing of asyncstore, so it starts as fast as an interpreter.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from collections.abc import Iterator  # noqa: TC003 - TYPE_CHECKING would cost the import of typing

_SOP_CLASS = b"1.2.840.10008.5.1.4.1.1.2\0"
_TRANSFER_SYNTAX = b"1.2.840.10008.1.2.1"
_CONTEXT_ID = 1
_OUR_LENGTH = 16384
"""The maximum length that we announce; responses are short."""
_LONGEST = 131072
"""The longest P-DATA-TF to send, DCMTK's limit."""
_GATHERED = 1024
"""IOV_MAX: the buffers of one gather write."""
_BUFFER = 1 << 20
"""Room for one file."""

_TCP_QUICKACK = 12
_PDU = struct.Struct(">BxI")
_PDV = struct.Struct(">BxIIBB")
"""P-DATA-TF with one presentation data value (PS3.8 9.3.5)."""
_COMMAND, _LAST = 1, 2
_PREFIX_END = 132
_GROUP_LENGTH = 140
"""The position of the value of (0002,0000) in a file."""
_SOP_INSTANCE = b"\x02\x00\x03\x00UI"

_RELEASE_RQ = _PDU.pack(5, 4) + bytes(4)


def main() -> None:
    """Send every file below the folders, once."""
    words = sys.argv[1:]
    associations = 4
    if words[0] == "--associations":
        associations = int(words[1])
        words = words[2:]
    host, port, *folders = words
    paths = sorted(os.path.join(folder, name) for top in folders for folder, _, names in os.walk(top) for name in names)
    answered = _send(iter(paths), [_Lane(host, int(port)) for _ in range(associations)])
    if answered != len(paths):
        sys.exit(f"{answered} of {len(paths)} answered")


def _send(paths: Iterator[str], lanes: list[_Lane]) -> int:
    """Send all files; returns the number of answers."""
    poll = select.epoll()
    busy = {lane.socket.fileno(): lane for lane in lanes if lane.begin(paths)}
    for descriptor, lane in busy.items():
        poll.register(descriptor, lane.events)
    answered = 0
    while busy:
        for descriptor, events in poll.poll():
            lane = busy[descriptor]
            awaited = lane.events
            if events & select.EPOLLOUT:
                lane.write()
            if events & select.EPOLLIN and lane.is_answered():
                answered += 1
                if not lane.begin(paths):
                    poll.unregister(descriptor)
                    del busy[descriptor]
                    continue
            if lane.events != awaited:
                poll.modify(descriptor, lane.events)
    for lane in lanes:
        lane.release()
    return answered


class _Lane:
    """One association, with one store at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_associate_rq())
        self._fragment = _maximum_length(self._pdu()) - 6
        self.socket.setblocking(False)
        self.out: list[bytes | memoryview] = []
        """Bytes that the kernel has not taken yet."""
        self._file = memoryview(bytearray(_BUFFER))
        self._message_id = 0
        self._received = b""

    @property
    def events(self) -> int:
        """The events to wait for."""
        return select.EPOLLIN | select.EPOLLOUT if self.out else select.EPOLLIN

    def begin(self, paths: Iterator[str]) -> bool:
        """Read the next file and send as much as the kernel takes; false if there is none."""
        path = next(paths, None)
        if path is None:
            return False
        descriptor = os.open(path, os.O_RDONLY)
        size = os.preadv(descriptor, [self._file], 0)
        os.close(descriptor)
        data_set = _GROUP_LENGTH + 4 + struct.unpack_from("<I", self._file, _GROUP_LENGTH)[0]
        self._message_id = self._message_id % 0xFFFF + 1
        self.out.append(_store_rq(_sop_instance_uid(bytes(self._file[_PREFIX_END:data_set])), self._message_id))
        for start in range(data_set, size, self._fragment):
            end = min(start + self._fragment, size)
            control = _LAST if end == size else 0
            self.out += (_PDV.pack(4, end - start + 6, end - start + 2, _CONTEXT_ID, control), self._file[start:end])
        self.write()
        return True

    def write(self) -> None:
        """Send as much as the kernel takes."""
        try:
            while self.out:
                batch = self.out[:_GATHERED]
                sent = self.socket.sendmsg(batch)
                for number, piece in enumerate(batch):
                    if sent < len(piece):
                        self.out[: number + 1] = [memoryview(piece)[sent:]]
                        break
                    sent -= len(piece)
                else:
                    del self.out[: len(batch)]
        except BlockingIOError:
            pass

    def is_answered(self) -> bool:
        """Receive, and tell whether the response is complete. It is one PDU, which may come in pieces."""
        received = self.socket.recv(65536)
        if not received:
            sys.exit("the peer closed an association")
        self.socket.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)
        self._received += received
        if len(self._received) < _PDU.size or len(self._received) < _PDU.size + _PDU.unpack_from(self._received)[1]:
            return False
        if self._received[0] != 4:
            sys.exit(f"the peer sent a PDU of type {self._received[0]}")
        self._received = b""
        return True

    def release(self) -> None:
        """Release the association and wait for the A-RELEASE-RP."""
        self.socket.setblocking(True)
        self.socket.sendall(_RELEASE_RQ)
        self._pdu()
        self.socket.close()

    def _pdu(self) -> bytes:
        head = self.socket.recv(_PDU.size, socket.MSG_WAITALL)
        return head + self.socket.recv(_PDU.unpack(head)[1], socket.MSG_WAITALL)


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _associate_rq() -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context (PS3.8 9.3.2)."""
    context = bytes((_CONTEXT_ID, 0, 0, 0)) + _item(0x30, _SOP_CLASS.rstrip(b"\0")) + _item(0x40, _TRANSFER_SYNTAX)
    user = _item(0x51, struct.pack(">I", _OUR_LENGTH)) + _item(0x52, b"2.25.1")
    items = _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context) + _item(0x50, user)
    body = struct.pack(">HH16s16s32x", 1, 0, b"ANY-SCP".ljust(16), b"LIMIT".ljust(16)) + items
    return _PDU.pack(1, len(body)) + body


def _maximum_length(accept: bytes) -> int:
    """The maximum length of an A-ASSOCIATE-AC (PS3.8 D.1)."""
    at = accept.index(b"\x51\0\0\4") + 4
    return min(struct.unpack_from(">I", accept, at)[0] or _LONGEST, _LONGEST)


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def _store_rq(sop_instance_uid: bytes, message_id: int) -> bytes:
    """A P-DATA-TF with a C-STORE-RQ (PS3.7 9.3.1.1)."""
    elements = b"".join((
        _element(0x0002, _SOP_CLASS),
        _element(0x0100, b"\1\0"),
        _element(0x0110, struct.pack("<H", message_id)),
        _element(0x0700, b"\0\0"),
        _element(0x0800, b"\0\0"),
        _element(0x1000, sop_instance_uid),
    ))  # fmt: skip
    command_set = _element(0x0000, struct.pack("<I", len(elements))) + elements
    return _PDV.pack(4, len(command_set) + 6, len(command_set) + 2, _CONTEXT_ID, _COMMAND | _LAST) + command_set


def _sop_instance_uid(meta: bytes) -> bytes:
    at = meta.index(_SOP_INSTANCE) + len(_SOP_INSTANCE)
    return meta[at + 2 : at + 2 + struct.unpack_from("<H", meta, at)[0]]


if __name__ == "__main__":
    main()
