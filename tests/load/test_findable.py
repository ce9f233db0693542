"""Time to findable: a process searches for stored instances, whatever the peer does."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from queue import SimpleQueue

import pytest
from pydicom import dcmread
from pynetdicom.dimse import DIMSEServiceProvider

from asyncstore import TlsOptions
from asyncstore.errors import UsageError
from asyncstore.load import finding
from asyncstore.load.findable import Finder
from asyncstore.load.finding import serve
from asyncstore.protocol.associate import IdentityKind, UserIdentity
from support.oracle import GUARD, until
from support.peers.certificates import Authority
from support.peers.dcmtk import storescu
from support.peers.hostile import Behaviour, accepts, closes, rejects, running_hostile, then, waits
from support.peers.orthanc import running_orthanc
from support.peers.searchable import FOUND, NOT_FOUND, UNREADABLE, running_searchable_scp
from support.trees import instances

pytestmark = pytest.mark.slow

_CT = "1.2.840.10008.5.1.4.1.1.2"
_FIRST_SEARCH = "2.25.3"
"""It is for nobody, and shows whether the peer answers."""


def found_after(searches):
    return lambda uid, number: uid != _FIRST_SEARCH and number > searches


async def said(port, *uids, tls=None, identity=None, deadline=60.0):
    """Search in a thread of this process, which starts sooner than another one. Returns the answers."""
    names = {"calling_ae_title": "ASYNCSTORE", "called_ae_title": "ANY-SCP"}
    settings = {"host": "127.0.0.1", "port": port, **names, "identity": identity, "deadline": deadline}
    lines, answers = SimpleQueue(), []

    def say(word, value=None):
        answers.append((word, value))
        if sum(word in ("found", "missing") for word, _ in answers) == len(uids):
            lines.put(None)

    for uid in uids:
        lines.put(json.dumps(["1.2.1", "1.2.2", uid, time.monotonic()]).encode())
    async with asyncio.timeout(GUARD):
        await asyncio.to_thread(serve, settings, tls and tls._asdict(), lines, say)
    return answers


async def problem_with(port, **options):
    [(word, value)] = await said(port, "1.2.3", **options)
    assert word == "problem"
    assert "\n" not in value
    return value


async def test_instances_are_searched_for_until_they_are_found():
    async with running_searchable_scp(found_after(2)) as scp:
        answers = await said(scp.port, "1.2.3.1", "1.2.3.2")
    assert [word for word, _ in answers if word != "late"] == ["ready", "found", "found"]
    assert all(seconds >= 0 for word, seconds in answers if word == "found")
    assert scp.searches == {_FIRST_SEARCH: 1, "1.2.3.1": 3, "1.2.3.2": 3}
    wanted = scp.identifiers[-1]
    assert (wanted.QueryRetrieveLevel, wanted.StudyInstanceUID, wanted.SeriesInstanceUID) == ("IMAGE", "1.2.1", "1.2.2")


async def test_an_instance_that_is_never_found_is_given_up():
    async with running_searchable_scp(lambda uid, _: uid == "1.2.3.2") as scp:
        answers = await said(scp.port, "1.2.3.1", "1.2.3.2", deadline=0.2)
    assert sorted(word for word, _ in answers if word != "late") == ["found", "missing", "ready"]
    assert scp.searches["1.2.3.1"]


async def test_searches_that_fail_are_repeated():
    answers = {1: 0xA700, 2: None, 3: FOUND}
    async with running_searchable_scp(lambda uid, number: uid != _FIRST_SEARCH and answers[number]) as scp:
        heard = await said(scp.port, "1.2.3.1")
    assert [value for word, value in heard if word == "error"] == [
        "status 0xA700 out of resources",
        "it aborts the association: it may not allow ASYNCSTORE to search",
    ]
    assert heard[-1][0] == "found"


async def test_an_answer_that_cannot_be_read_finds_nothing(monkeypatch):
    monkeypatch.setattr("pynetdicom._config.LOG_RESPONSE_IDENTIFIERS", False)  # the peer could not read it either
    answers = {1: UNREADABLE, 2: FOUND}
    async with running_searchable_scp(lambda uid, number: uid != _FIRST_SEARCH and answers[number]) as scp:
        assert [word for word, _ in await said(scp.port, "1.2.3.1") if word != "late"] == ["ready", "found"]


async def test_answers_are_left_to_the_searches(monkeypatch):
    """Pynetdicom's own thread may look for requests of the peer while the next search is under way, as here."""
    take = DIMSEServiceProvider.get_msg

    def late(provider, block=False):  # noqa: FBT002 - as pynetdicom's
        if provider.assoc.is_requestor:
            time.sleep(0.02 if block else 0.01)
        return take(provider, block)

    monkeypatch.setattr(DIMSEServiceProvider, "get_msg", late)
    monkeypatch.setattr(finding, "_ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(finding, "_FIRST_PAUSE", 0.0)
    async with running_searchable_scp(found_after(8)) as scp:
        answers = await said(scp.port, "1.2.3.1", "1.2.3.2")
    assert [value for word, value in answers if word == "error"] == []


async def test_a_peer_that_does_not_answer_is_not_said_to_abort(monkeypatch):
    monkeypatch.setattr(finding, "_ANSWER_SECONDS", 0.2)
    async with running_hostile(Behaviour(on_request=accepts())) as scp:
        assert await problem_with(scp.port) == "a first search failed: no answer within 0.2 seconds"


async def test_a_connection_that_ends_amid_a_search_is_not_said_to_be_an_abort():
    async with running_hostile(Behaviour(on_request=accepts(), once_associated=then(waits(0.1), closes()))) as scp:
        assert await problem_with(scp.port) == "a first search failed: the association was lost"


async def test_a_peer_without_c_find_is_named_as_the_reason():
    behaviour = Behaviour(on_request=accepts(sop_classes=lambda uid: uid == _CT))
    async with running_hostile(behaviour) as scp:
        problem = await problem_with(scp.port)
    assert problem == "the peer does not take C-FIND of the Study Root model: abstract syntax not supported"


async def test_a_peer_that_rejects_the_association_is_named_as_the_reason():
    async with running_hostile(Behaviour(on_request=rejects(1, 1, 7))) as scp:
        assert await problem_with(scp.port) == "the peer rejects the association: Called AE title not recognised"


async def test_a_first_search_that_fails_is_the_reason():
    async with running_searchable_scp(lambda _uid, _number: 0xA900) as scp:
        problem = await problem_with(scp.port)
    assert problem == "a first search failed: status 0xA900 data set does not match SOP class"


async def test_files_of_tls_that_cannot_be_read_are_the_reason():
    assert "no-such-file" in await problem_with(1, tls=TlsOptions(trusted=("no-such-file",)))


@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example.org"])
async def test_tls_is_used_and_the_host_is_checked(tmp_path, name):
    authority = Authority.make()
    files = authority.certify(name).write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    options = TlsOptions(trusted=(authority.write(tmp_path),))
    async with running_searchable_scp(found_after(0), context=context) as scp:
        if name == "127.0.0.1":
            assert (await said(scp.port, "1.2.3", tls=options))[-1][0] == "found"
        else:
            assert "certificate" in await problem_with(scp.port, tls=options)


async def test_a_user_identity_that_pynetdicom_does_not_know_is_the_reason():
    assert await problem_with(1, identity=[77, "", "", False]) == "a user identity of kind 77 cannot be used for C-FIND"


@pytest.mark.peers
async def test_orthanc_finds_what_it_stored(tmp_path):
    [path] = instances(tmp_path / "in", 1, data_set_bytes=200_000)
    dataset = dcmread(path, stop_before_pixels=True)
    async with running_orthanc(tmp_path / "orthanc", DicomAlwaysAllowFind=True) as orthanc:
        assert (await storescu(orthanc.port, [path])).returncode == 0
        async with Finder("127.0.0.1", orthanc.port) as finder:
            uids = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
            finder.offer(*uids, time.monotonic())
            await finder.finish()
            results = finder.results()
    assert (results.asked, results.found, results.not_found, results.errors) == (1, 1, 0, {})


@pytest.mark.peers
async def test_orthanc_that_forbids_searches_is_named_as_the_reason(tmp_path):
    async with running_orthanc(tmp_path / "orthanc") as orthanc:
        assert "may not allow ASYNCSTORE to search" in await problem_with(orthanc.port)


@pytest.mark.parametrize(
    ("name", "value"), [("per_second", 0), ("calling_ae_title", ""), ("called_ae_title", "A" * 17)]
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(UsageError):
        Finder("127.0.0.1", 104, **{name: value})


# With the process itself ------------------------------------------------------------------------------------------


def offer(finder, *uids):
    """Offer instances, each at its own moment of the last second, so that all of them are sampled."""
    now = time.monotonic()
    for place, uid in enumerate(uids):
        finder.offer("1.2.1", "1.2.2", uid, now - 1 + place / len(uids))


async def test_a_peer_that_is_not_there_is_named_as_the_reason(refusing_port):
    async with Finder("127.0.0.1", refusing_port) as finder:
        offer(finder, "1.2.3")
        results = finder.results()
    assert (results.asked, results.errors) == (0, {finder.problem: 1})
    assert finder.problem == "no association can be opened: Connection refused"


async def test_so_many_instances_a_second_are_sampled():
    async with running_searchable_scp(found_after(0)) as scp, Finder("127.0.0.1", scp.port, per_second=10) as finder:
        now = time.monotonic() - 2
        for place in range(200):
            finder.offer("1.2.1", "1.2.2", f"1.2.3.{place}", now + place / 100)
        await finder.finish()
        results = finder.results()
    assert 18 <= results.found == results.latency.count <= 21
    late = "searched for late, because other searches took too long"
    assert results.errors == {late: results.found}  # they were stored long before their first search


async def test_the_user_identity_is_sent():
    identity = UserIdentity(IdentityKind.USERNAME_AND_PASSCODE, b"user", b"secret")
    async with running_searchable_scp(found_after(0)) as scp, Finder("127.0.0.1", scp.port, identity=identity):
        [user] = scp.users
    assert (user.user_identity_type, user.primary_field, user.secondary_field) == (2, b"user", b"secret")


async def test_instances_that_are_still_searched_for_at_the_end_are_pending():
    async with running_searchable_scp(lambda _uid, _number: NOT_FOUND) as scp:
        async with Finder("127.0.0.1", scp.port) as finder:
            offer(finder, "1.2.3")
        assert finder.pending == 1
        finder.offer("1.2.1", "1.2.2", "1.2.4", time.monotonic() + 5)
        results = finder.results()
        assert (results.asked, results.found, results.not_found) == (1, 0, 0)
        assert results.errors["not searched for to the end"] == 1


async def test_a_process_that_is_killed_is_the_reason():
    async with running_searchable_scp(found_after(0)) as scp, Finder("127.0.0.1", scp.port) as finder:
        finder._process.kill()  # noqa: SLF001 - nothing else kills it
        await until(lambda: finder.problem)
        offer(finder, "1.2.3")
        await finder.finish()
        assert finder.results().asked == 0
        assert finder.problem == "the process that searches has ended"


async def test_the_end_does_not_wait_for_a_peer_that_is_silent():
    async with running_hostile(Behaviour(on_request=accepts())) as scp:
        finder = Finder("127.0.0.1", scp.port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3), finder:
                raise AssertionError("the first search was never answered")


def is_alive(process):
    return Path(f"/proc/{process}").exists()


_PARENT = """
import asyncio, sys
from asyncstore.load.findable import Finder

async def main():
    async with Finder("127.0.0.1", int(sys.argv[1])) as finder:
        print(finder._process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_the_process_ends_with_its_parent_even_if_that_is_killed():
    async with running_searchable_scp(found_after(0)) as scp:
        words = [sys.executable, "-c", _PARENT, str(scp.port)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as parent:  # noqa: ASYNC220 - it takes a millisecond
            child = int(await asyncio.to_thread(parent.stdout.readline))
            assert is_alive(child)
            parent.send_signal(signal.SIGKILL)
        async with asyncio.timeout(GUARD):
            while is_alive(child):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
