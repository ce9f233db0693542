"""``-ta``, ``-td`` and ``-ts`` on the command line: each ends its own wait and names itself in the message."""

import pytest

from support.commands import asyncstore
from support.oracle import nothing_left_behind
from support.peers.hostile import Behaviour, never_answers, running_hostile, stays_silent, stops_reading
from support.trees import instances

SILENT = Behaviour(on_request=stays_silent())
MUTE = never_answers
DEAF = Behaviour(amid_data=stops_reading())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return instances(tmp_path_factory.mktemp("timeouts") / "files", 1, data_set_bytes=20_000_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "options", "code", "words"),
    [
        (SILENT, ["-ta", "1"], 1, ["no answer to the association request within 1 s", "more time with -ta"]),
        (MUTE, ["-ts", "1"], 2, ["no response within 1 s"]),
        (MUTE, ["-td", "1", "-ts", "0"], 2, ["no response within 1 s"]),
        (DEAF, ["-ts", "1"], 2, ["no data taken by the peer within 1 s"]),
    ],
    ids=["-ta", "-ts instead of -td", "-td without -ts", "-ts"],
)
async def test_each_timeout_names_itself(files, behaviour, options, code, words):
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ended = await asyncstore("send", *options, "127.0.0.1", str(scp.port), *files)
    assert ended.returncode == code, ended.err
    assert [word for word in words if word not in ended.err] == [], ended.err
    assert "Traceback" not in ended.err
