"""Peers for the tests, each an async context manager that a test enters itself.

    async with running_storescp(tmp_path / "received") as scp:
        ...  # send to 127.0.0.1, scp.port
        assert scp.stored() == ...

`dcmtk` and `orthanc` run the real programs, `pynetdicom_scp` runs pynetdicom's acceptor, `hostile` is an acceptor of
our own that breaks the standard in whichever way a test asks for, and `choosing` has steps for it that count over all
associations. `relay` stands before any of them and does harm to bytes and connections. `listening` is the port of the
last two: it can vanish and come back. None of them uses asyncstore's code: they are witnesses.
"""
