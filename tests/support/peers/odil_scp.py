"""Odil's storage SCP, as its documentation shows it; run by the system's Python, which has Debian's python3-odil.

odil_scp.py PORT FILE: a line for each instance into FILE: its SOP instance UID, and the SHA-256 of its pixel data.

Odil listens for one association at a time. So each is accepted in a process of its own, and when it is, the next
process is forked, while the first one serves.
"""

import hashlib
import os
import signal
import sys

import odil


def main(port: int, path: str) -> None:
    """Serve associations until the process is killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    received = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while True:
        accepted, is_accepted = os.pipe()
        if os.fork():
            os.close(is_accepted)
            os.read(accepted, 1)  # its end comes when the child closes its side, or ends
            os.close(accepted)
            continue
        association = odil.Association()
        try:
            association.receive_association("v4", port)
            os.close(is_accepted)
            serve(association, received)
        finally:
            os._exit(0)


def serve(association: odil.Association, received: int) -> None:
    """Answer the requests of one association."""

    def store(request: odil.messages.CStoreRequest) -> int:
        digest = hashlib.sha256()
        for fragment in request.get_data_set()["PixelData"].as_binary():
            digest.update(bytes(bytearray(fragment)))
        os.write(received, f"{request.get_affected_sop_instance_uid()} {digest.hexdigest()}\n".encode())
        return 0

    scp = odil.StoreSCP(association)
    scp.set_callback(store)
    try:
        while True:
            scp(odil.messages.CStoreRequest(association.receive_message()))
    except (odil.AssociationReleased, odil.AssociationAborted):
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
