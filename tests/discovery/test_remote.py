"""Objects of remote stores: S3, as moto plays it, and memory."""

from __future__ import annotations

import logging
import socket
import threading

import fsspec
import pytest

from asyncstore import Result, Sink, UsageError, WalkOptions
from asyncstore.discovery import remote, stores
from asyncstore.discovery.limits import ArchiveLimits
from asyncstore.journal.journal import Journal
from asyncstore.journal.settings import Migration
from asyncstore.recording import Recording
from support import trees
from support.archives import archive
from support.oracle import send

REMOTE = WalkOptions(remote=True)


@pytest.fixture
def store():
    """An empty store in memory."""
    system = fsspec.filesystem("memory")
    stores._store.cache_clear()  # noqa: SLF001 - the last test may have left one that is given up
    yield Put(system, "memory://store")
    system.store.clear()
    system.pseudo_dirs[:] = [""]


class Put:
    """Puts objects into a store."""

    def __init__(self, system, url):
        self.system, self.url = system, url

    def __call__(self, objects):
        for name, data in objects.items():
            self.system.pipe(f"{self.url}/{name}", data)


def everything(_):
    return True


def names(url, *, recurse=True, wanted=everything):
    return [path.member for path in remote.objects(url, recurse=recurse, wanted=wanted)]


def content(path):
    return b"".join(path.unpack())


def of_files(files, folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    trees.instances(folder / "a", 6)
    trees.instances(folder / "b", 2, data_set_bytes=3_000_000, seed=1)
    return folder


class TestListing:
    def test_objects_come_by_name_directory_by_directory(self, store):
        store({"b/2": b"", "b/10": b"", "a": b"", "b/c/1": b"", "d": b"", "b/d": b""})
        assert names(store.url) == ["a", "b/10", "b/2", "b/c/1", "b/d", "d"]
        assert names(f"{store.url}/") == names(store.url)
        assert names(f"{store.url}/b") == ["b/10", "b/2", "b/c/1", "b/d"]
        assert names(f"{store.url}/b/") == names(f"{store.url}/b")

    def test_an_object_is_named_by_its_url(self, store):
        store({"a/1": b"data", "a/10": b"more"})
        [path] = remote.objects(f"{store.url}/a/1", recurse=True, wanted=everything)
        assert path == f"{store.url}/a/1"
        assert (path.archive, path.member, path.size, content(path)) == (store.url, "a/1", 4, b"data")

    def test_prefixes_below_may_be_left_out_and_names_chosen(self, store):
        store({"1.dcm": b"", "2.txt": b"", "d/3.dcm": b""})
        assert names(store.url, recurse=False) == ["1.dcm", "2.txt"]
        assert names(store.url, wanted=lambda name: name.endswith(".dcm")) == ["1.dcm", "d/3.dcm"]

    def test_what_is_not_there_is_said(self, store):
        with pytest.raises(stores.Refused, match="no such object, and nothing below such a prefix"):
            names(f"{store.url}/gone")

    def test_a_password_in_a_url_is_refused_and_not_shown(self):
        for url in (
            "sftp://me:hunter2@host/files",
            "az://container/a?sv=1&sig=hunter2",
            "s3://b/?X-Amz-Signature=hunter2",
        ):
            with pytest.raises(UsageError) as caught:
                names(url)
            assert "hunter2" not in str(caught.value)
        stores.check_url("sftp://me@host:22/files/what?/keys=1")

    def test_a_missing_library_is_named(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
        with pytest.raises(stores.Refused, match="no library that reads gs:// is installed: install the package gcsfs"):
            names("gs://bucket")


class TestFetching:
    def test_large_objects_come_in_several_requests(self, store, monkeypatch):
        monkeypatch.setattr(remote, "_PIECE", 1000)
        data = bytes(range(256)) * 50
        store({"a": data})
        [path] = remote.objects(store.url, recurse=True, wanted=everything)
        assert path.start() == 1000
        assert content(path) == data

    @pytest.mark.parametrize("size", [10, 3000])
    @pytest.mark.parametrize("change", [b"", b"shorter"[:5], b"longer" * 900])
    def test_an_object_that_has_changed_is_noticed(self, size, change, store, monkeypatch):
        monkeypatch.setattr(remote, "_PIECE", 1000)
        store({"a": bytes(size)})
        [path] = remote.objects(store.url, recurse=True, wanted=everything)
        store({"a": change})
        with pytest.raises(remote.Damaged, match="the object was changed since it was found"):
            content(path)

    def test_another_version_between_two_requests_is_noticed(self, store, monkeypatch):
        monkeypatch.setattr(remote, "_PIECE", 1000)
        monkeypatch.setattr(remote, "_SIDE_BY_SIDE", 1)
        store({"a": bytes(2500)})
        [path] = remote.objects(store.url, recurse=True, wanted=everything)
        pieces = path.unpack()
        next(pieces)
        store({"a": b"1" * 2500})
        with pytest.raises(remote.Damaged, match="changed"):
            list(pieces)

    def test_an_object_that_is_gone_is_a_reason(self, store):
        store({"a": b"1"})
        [path] = remote.objects(store.url, recurse=True, wanted=everything)
        store.system.rm(f"{store.url}/a")
        with pytest.raises(remote.Damaged, match="no such object"):
            content(path)

    def test_requests_are_repeated(self, store, monkeypatch):
        monkeypatch.setattr(stores, "sleep", lambda _: None)
        store({"a": b"data"})
        [path] = remote.objects(store.url, recurse=True, wanted=everything)
        failures = iter([ConnectionResetError(), TimeoutError(), ValueError("odd")])
        cat = type(store.system).cat_file

        def failing(self, *words, **options):
            for failure in failures:
                raise failure
            return cat(self, *words, **options)

        monkeypatch.setattr(type(store.system), "cat_file", failing)
        assert content(path) == b"data"

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (PermissionError("AKIA-SECRET"), "the store refuses it: check the credentials, and what they allow"),
            (RuntimeError("AKIA-SECRET InvalidAccessKeyId"), "the store refuses it"),
            (ConnectionRefusedError(111, "AKIA-SECRET"), "the store cannot be reached: it refuses connections"),
            (RuntimeError("AKIA-SECRET"), "the store cannot be reached: RuntimeError"),
        ],
    )
    def test_errors_are_told_in_our_words(self, error, said, store, monkeypatch):
        Clock(monkeypatch)
        store({"a": b"data"})
        [path] = remote.objects(store.url, recurse=True, wanted=everything)

        def failing(*_, **__):
            raise error

        monkeypatch.setattr(type(store.system), "cat_file", failing)
        with pytest.raises(remote.Damaged) as caught:
            content(path)
        assert str(caught.value).startswith(said)
        assert "SECRET" not in str(caught.value)


@pytest.fixture
def dead(monkeypatch):
    """An S3 server that makes a connection to this port, and the pauses before requests are made again."""
    pauses = []
    monkeypatch.setattr(stores, "sleep", pauses.append)
    monkeypatch.setattr(stores, "_CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(stores, "_READ_SECONDS", 0.2)

    def server(port):
        settings = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "AKIAKEY", "secret": "TOPSECRET"}
        monkeypatch.setitem(fsspec.config.conf, "s3", settings)
        return f"s3://dead{port}"

    return server, pauses


@pytest.mark.slow
@pytest.mark.usefixtures("bucket")  # so that fsspec's thread is there before these tests and after them
class TestServersThatAreGone:
    def test_one_that_refuses_connections_is_asked_three_times(self, dead):
        server, pauses = dead
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(stores.Refused) as caught:
            names(server(port))
        assert str(caught.value) == f"the store cannot be reached at 127.0.0.1:{port}: it refuses connections"
        assert pauses == [0.5, 1.0]

    def test_one_that_does_not_answer_is_asked_once(self, dead):
        server, pauses = dead
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(stores.Refused) as caught:
                names(server(port))
        assert str(caught.value) == f"the store cannot be reached at 127.0.0.1:{port}: it does not answer"
        assert pauses == []

    def test_settings_of_the_user_count(self, monkeypatch):
        mine = {"config_kwargs": {"connect_timeout": 77}, "key": "AKIAKEY", "secret": "TOPSECRET"}
        monkeypatch.setitem(fsspec.config.conf, "s3", mine)
        store, _ = stores.opened_store("s3://patient/")
        config = store.system.config_kwargs
        assert (config["connect_timeout"], config["retries"]) == (77, {"total_max_attempts": 1})


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(stores, "sleep", self.sleep)
        monkeypatch.setattr(stores, "monotonic", lambda: self.now)

    def sleep(self, seconds):
        self.now += seconds


class TestOutages:
    @pytest.fixture
    def clock(self, monkeypatch):
        return Clock(monkeypatch)

    @pytest.fixture
    def down(self):
        """A store that has answered, and is then not reached."""
        down = stores.Store("s3://bucket", None, "s3")
        down.ask(bool)
        return down

    def lost(self):
        raise ConnectionRefusedError(111, "refused")

    def test_a_store_that_is_back_within_a_minute_is_waited_for(self, clock, down):
        back = clock.now + 55

        def request():
            return "answer" if clock.now >= back else self.lost()

        assert down.ask(request) == "answer"

    def test_after_a_minute_requests_fail_at_once_and_one_in_ten_seconds_is_made(self, clock, down):
        begun = clock.now
        asked = []

        def request():
            asked.append(clock.now)
            self.lost()

        with pytest.raises(stores.Refused, match="it refuses connections"):
            down.ask(request)
        assert 60 <= clock.now - begun < 65
        asked.clear()
        for _ in range(300):
            clock.sleep(0.1)
            with pytest.raises(stores.Refused, match="it refuses connections"):
                down.ask(request)
        assert len(asked) in (2, 3)
        clock.sleep(10)
        assert down.ask(lambda: "back") == "back"
        asked.clear()
        with pytest.raises(stores.Refused):
            down.ask(request)
        assert len(asked) > 10, "it is waited for again"

    def test_one_object_that_never_comes_does_not_give_up_the_store(self, clock, down):
        def request():
            clock.sleep(5)
            down.ask(bool)  # others do come
            raise TimeoutError

        with pytest.raises(stores.Refused, match="it does not answer"):
            down.ask(request)
        assert down.ask(lambda: "another") == "another"

    def test_errors_that_a_store_answers_with_are_repeated_four_times(self, clock, down):
        begun, asked = clock.now, []

        def request():
            asked.append(clock.now)
            raise RuntimeError("slow down")

        with pytest.raises(stores.Refused):
            down.ask(request)
        assert (len(asked), clock.now - begun) == (5, 7.5)


class TestSending:
    @pytest.mark.slow
    async def test_the_peer_gets_the_data_sets_of_the_objects(self, store, folder, files, tmp_path):
        store(of_files(files, folder))
        async with Sink(port=0, output=tmp_path) as sink:
            ran = await send(sink.port, [store.url], REMOTE._replace(ahead=1 << 22))
        assert ran.results == {Result.STORED: 8}
        assert trees.data_sets(tmp_path) == trees.data_sets(folder)
        assert [outcome.path for outcome in sorted(ran.outcomes, key=lambda one: one.ordinal)] == [
            f"{store.url}/{path.relative_to(folder)}" for path in files
        ]

    @pytest.mark.slow
    async def test_archives_in_a_store_are_opened(self, store, folder, files, tmp_path):
        packed = [archive(tmp_path / "in", name, files) for name in ("deflated.zip", "files.tar.gz")]
        store({path.name: path.read_bytes() for path in packed} | {"x.zip": b"no zip"})
        async with Sink(port=0, output=tmp_path / "out") as sink:
            ran = await send(sink.port, [store.url], REMOTE._replace(archives=ArchiveLimits()))
        assert ran.results == {Result.STORED: 16, Result.NOT_SENT: 1}
        assert ran.of(f"{store.url}/deflated.zip!d/0.dcm").result is Result.STORED
        assert ran.of(f"{store.url}/x.zip").reason == "not a DICOM file"
        assert trees.data_sets(tmp_path / "out") == trees.data_sets(folder)

    @pytest.mark.slow
    async def test_a_journal_skips_stored_objects_and_sends_changed_ones(self, store, folder, files, tmp_path):
        store(of_files(files[:4], folder))
        results = []
        for change in (None, None, files[0]):
            if change is not None:
                store(of_files([change], folder))
            journal = Journal.open(str(tmp_path / "run.db"), Migration("h", 1, "A", "B", ()), version="1")
            async with Sink(port=0) as sink:
                from asyncstore import Sender

                async with Sender("127.0.0.1", sink.port) as sender:
                    found = [one async for one in sender.send([store.url], REMOTE, Recording(journal))]
            journal.close()
            results.append(sorted(one.result for one in found))
        assert results == [["stored"] * 4, ["skipped"] * 4, ["skipped"] * 3 + ["stored"]]

    @pytest.mark.slow
    async def test_a_skipped_object_is_not_fetched(self, store, files, folder, tmp_path, monkeypatch):
        await self.test_a_journal_skips_stored_objects_and_sends_changed_ones(store, folder, files, tmp_path)
        monkeypatch.setattr(type(store.system), "cat_file", None)
        journal = Journal.open(str(tmp_path / "run.db"), Migration("h", 1, "A", "B", ()), version="1")
        found = Recording(journal).without_settled(iter_files(store.url))
        assert {type(one).__name__ for one in found} == {"Outcome"}
        journal.close()

    @pytest.mark.slow
    async def test_a_member_of_an_archive_is_named_by_its_url(self, store, files, tmp_path):
        packed = archive(tmp_path / "in", "deflated.zip", files)
        store({"b/x.zip": packed.read_bytes()})
        opened = REMOTE._replace(archives=ArchiveLimits())
        async with Sink(port=0) as sink:
            ran = await send(sink.port, [f"{store.url}/b/x.zip!d/1.dcm", f"{store.url}/b/x.zip!gone"], opened)
            assert ran.of(f"{store.url}/b/x.zip!d/1.dcm").result is Result.STORED
            assert ran.of(f"{store.url}/b/x.zip!gone").reason == "no such file in the archive"
            ran = await send(sink.port, [f"{store.url}/b/x.zip!d/1.dcm", f"{store.url}/b/gone.zip!d"], REMOTE)
            unopened = "a file in an archive, and archives are not opened"
            assert ran.of(f"{store.url}/b/x.zip!d/1.dcm").reason == unopened
            assert ran.of(f"{store.url}/b/gone.zip!d").reason == "no such object"

    @pytest.mark.parametrize("url", ["gs://bucket/a.zip", "gs://bucket/a.zip!b"])
    async def test_a_missing_library_is_the_reason(self, url, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
        async with Sink(port=0) as sink:
            ran = await send(sink.port, [url], REMOTE)
        assert ran.errors == {"no library that reads gs:// is installed: install the package gcsfs"}

    async def test_a_url_that_leads_nowhere_has_an_outcome(self, store):
        async with Sink(port=0) as sink:
            ran = await send(sink.port, [f"{store.url}/gone"], REMOTE)
        assert ran.errors == {"no such object, and nothing below such a prefix"}

    async def test_urls_are_names_of_files_where_no_store_is_read(self, store):
        async with Sink(port=0) as sink:
            ran = await send(sink.port, [f"{store.url}/gone"])
        assert ran.errors == {"no such file or directory"}


def iter_files(url):
    from asyncstore.discovery.finding import Finder
    from asyncstore.discovery.spool import Spool
    from asyncstore.discovery.walk import walk

    return walk([url], REMOTE, Finder(None, Spool()))


@pytest.mark.slow
def test_fetching_does_not_keep_the_program_alive(store, monkeypatch):
    monkeypatch.setattr("asyncstore.discovery.ahead._IDLE_SECONDS", 0.5)  # so that the thread is seen
    store({"a": b"data"})
    [path] = remote.objects(store.url, recurse=True, wanted=everything)
    path.start()
    assert any("asyncstore-ahead" in thread.name for thread in threading.enumerate())
    assert all(thread.daemon for thread in threading.enumerate() if "asyncstore-ahead" in thread.name)


@pytest.fixture(scope="module")
def bucket():
    """A bucket of an S3 server in this process, and the environment in which it is found."""
    from moto.server import ThreadedMotoServer  # every worker of pytest-xdist would take 0.3 s to import it

    logging.getLogger("werkzeug").setLevel("ERROR")
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAKEY",
            "AWS_SECRET_ACCESS_KEY": "TOPSECRET",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }.items():
            patch.setenv(name, value)
        system = fsspec.filesystem("s3")
        system.mkdir("bucket")
        yield Put(system, "s3://bucket")
    server.stop()


@pytest.mark.slow
class TestS3:
    async def test_a_bucket_is_sent_and_the_journal_knows_it(self, bucket, folder, files, tmp_path):
        from support.commands import asyncstore, running_sink

        bucket(of_files(files, folder))
        async with running_sink("--output", tmp_path / "out") as sink:
            words = ("--journal", tmp_path / "run.db", "127.0.0.1", str(sink.port), "s3://bucket/")
            ran = await asyncstore("send", "-nh", *words)
            assert "Stored all 8 files" in ran.err
            bucket({"a/new.dcm": files[0].read_bytes(), **of_files(files[:1], folder)})
            ran = await asyncstore("send", "-nh", *words)
            assert "Stored all 9 files" in ran.err
            assert "8 of them by an earlier run" in ran.err
        assert trees.data_sets(tmp_path / "out") == trees.data_sets(folder)
        told = await asyncstore("report", "--list", "stored", tmp_path / "run.db")
        assert "s3://bucket/a/new.dcm" in told.out.splitlines()
        assert "TOPSECRET" not in ran.err + told.out

    def test_a_bucket_that_is_not_there_is_said(self, bucket):
        del bucket
        with pytest.raises(stores.Refused):
            names("s3://other/a")
