"""Which files may be opened as a journal, by which runs, and for which migration."""

import fcntl
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from asyncstore.errors import (
    JournalDamaged,
    JournalInUse,
    JournalMissing,
    JournalNotReadable,
    JournalNotWritable,
    JournalOnNetwork,
    JournalTooNew,
    NotAJournal,
    OtherMigration,
    UsageError,
)
from asyncstore.journal.journal import Journal
from asyncstore.journal.lookup import Lookup
from asyncstore.journal.place import file_system, refuse_network
from asyncstore.journal.reading import Reader
from asyncstore.journal.salvage import salvage
from asyncstore.journal.schema import VERSION
from asyncstore.journal.values import Outcomes, State
from support.journals import PEER, begin, delivery, full_check, read


def make(path, rows=1):
    with begin(path) as journal:
        journal.write([delivery(f"/data/{number:06}", sop_instance_uid=f"1.2.{number}") for number in range(rows)])


class TestWhatIsNoJournal:
    @pytest.mark.parametrize("content", [b"hello", b"\0" * 5000, b"\x93" * 10_000, b"SQLite format 3\0" + b"x" * 4080])
    def test_a_file_with_other_contents(self, path, content):
        path.write_bytes(content)
        with pytest.raises((NotAJournal, JournalDamaged)):
            begin(path)
        assert path.read_bytes() == content
        with pytest.raises((NotAJournal, JournalDamaged)):
            Reader(str(path))

    def test_a_database_of_another_program(self, path):
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE patients (name)")
        other.close()
        before = path.read_bytes()
        for use in (begin, Reader, Lookup):
            with pytest.raises(NotAJournal, match="another program"):
                use(str(path))
        assert path.read_bytes() == before

    def test_a_directory(self, tmp_path):
        for use in (begin, Reader):
            with pytest.raises(NotAJournal, match="directory"):
                use(str(tmp_path))

    @pytest.mark.parametrize("kind", ["fifo", "device"])
    def test_no_regular_file(self, path, kind):
        if kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/null")
        with pytest.raises(NotAJournal, match="no regular file"):
            begin(path)
        with pytest.raises(NotAJournal, match="no regular file"):
            Reader(str(path))

    def test_a_missing_file_to_read(self, path):
        with pytest.raises(JournalMissing):
            Reader(str(path))
        assert not path.exists()

    @pytest.mark.parametrize("name", ["no/such/run.db", "nul\0", "x" * 300])
    def test_a_place_that_cannot_be(self, tmp_path, name):
        with pytest.raises(JournalNotWritable):
            begin(tmp_path / name)

    def test_a_name_that_is_not_utf_8_is_refused_and_no_file_is_made(self, tmp_path):
        path = tmp_path / os.fsdecode(b"run\xff.db")
        for use in (begin, lambda path: salvage(path, str(tmp_path / "new.db")), Reader):
            with pytest.raises(NotAJournal, match="UTF-8"):
                use(str(path))
            if use is begin:
                assert not path.exists()
                path.write_bytes(b"SQLite format 3")

    def test_an_empty_file_becomes_a_journal(self, path):
        path.touch()
        with pytest.raises(NotAJournal, match="empty"):
            Reader(str(path))
        make(path)
        assert len(read(path)) == 1

    def test_a_newer_journal(self, path):
        make(path)
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 99")
        other.close()
        for use in (begin, Reader):
            with pytest.raises(JournalTooNew) as refused:
                use(str(path))
            assert (refused.value.version, refused.value.known) == (99, VERSION)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
    def test_a_journal_that_may_not_be_written_or_read(self, path):
        make(path)
        path.chmod(0o400)
        with pytest.raises(JournalNotWritable):
            begin(path)
        path.chmod(0o000)
        with pytest.raises(JournalNotReadable):
            Reader(str(path))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_journal_in_a_read_only_place_can_be_read(self, tmp_path):
        place = tmp_path / "a ?#% place"
        place.mkdir()
        make(place / "run.db")
        place.chmod(0o555)
        assert len(read(place / "run.db")) == 1
        with pytest.raises(JournalNotWritable):
            begin(place / "run.db")
        place.chmod(0o755)


class TestDamage:
    def test_a_truncated_journal(self, path):
        make(path, 5000)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(JournalDamaged):
            begin(path)

    def test_a_table_that_is_missing(self, path):
        make(path)
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE endings")
        other.close()
        with pytest.raises(JournalDamaged, match="endings is missing"):
            begin(path)

    @pytest.mark.parametrize("page", range(2, 12))
    def test_a_page_of_garbage_is_found_by_the_full_check_at_the_latest(self, path, page):
        make(path, 2000)
        with path.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 4096)
        with pytest.raises(JournalDamaged):
            full_check(path)

    def test_a_whole_journal_passes_the_full_check(self, path):
        make(path, 2000)
        full_check(path)


class TestOneRunAtATime:
    def test_a_journal_with_two_names_is_only_read(self, path):
        make(path)
        other = path.with_name("other.db")
        other.hardlink_to(path)
        for name in (path, other):
            with pytest.raises(JournalNotWritable, match="hard links"):
                begin(name)
            assert len(read(name)) == 1
        other.unlink()
        begin(path).close()

    def test_a_report_that_looks_whether_a_run_writes_keeps_none_from_beginning(self, path, monkeypatch):
        monkeypatch.setattr("asyncstore.journal.place._PATIENCE", 2.0)  # the machine may be busy
        begin(path).close()
        lock = path.with_name(f"{path.name}-lock")
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            timer = threading.Timer(0.1, fcntl.flock, (file, fcntl.LOCK_UN))
            timer.start()
            begin(path).close()
            timer.join()

    @pytest.mark.slow
    def test_a_second_run_is_refused_and_told_who_writes(self, path):
        with begin(path) as journal:
            with pytest.raises(JournalInUse) as refused:
                begin(path)
            assert refused.value.pid == os.getpid()
            journal.write([delivery("/data/a")])
        make(path)
        assert not (path.parent / "run.db-lock").exists()

    @pytest.mark.slow
    def test_another_name_for_it_is_refused_as_well(self, path):
        (path.parent / "link").symlink_to("run.db")
        with begin(path), pytest.raises(JournalInUse):
            begin(path.parent / "link")

    @pytest.mark.slow
    def test_another_process_is_refused_until_the_first_is_killed(self, path):
        code = (
            "import sys; sys.path[:0] = sys.argv[2:]\n"
            "from support.journals import begin, delivery\n"
            "journal = begin(sys.argv[1]); journal.write([delivery('/data/a')]); journal.flush()\n"
            "print(flush=True); sys.stdin.read()"
        )
        words = [sys.executable, "-c", code, str(path), *sys.path]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
            first.stdout.readline()
            with pytest.raises(JournalInUse) as refused:
                begin(path)
            assert refused.value.pid == first.pid
            assert len(read(path)) == 1
            first.send_signal(signal.SIGKILL)
            first.wait()
        make(path)
        assert len(read(path)) == 2

    @pytest.mark.slow
    def test_a_reader_in_this_process_does_not_undo_the_lock_of_the_run(self, path):
        with begin(path) as journal:
            journal.write([delivery("/data/a")])
            journal.flush()
            read(path)
            with pytest.raises(JournalInUse):
                begin(path)

    def test_a_refused_run_leaves_no_lock(self, path):
        path.write_bytes(b"hello")
        for _ in range(2):
            with pytest.raises(NotAJournal):
                begin(path)


class TestMigration:
    @pytest.mark.parametrize(
        ("change", "difference"),
        [
            ({"host": "other"}, ("host", "pacs", "other")),
            ({"port": 104}, ("port", "11112", "104")),
            ({"calling_ae_title": "ME"}, ("calling AE title", "US", "ME")),
            ({"called_ae_title": "YOU"}, ("called AE title", "THEM", "YOU")),
            ({"editing": (("invented patients", "25"),)}, ("invented patients", None, "25")),
        ],
    )
    def test_another_one_is_refused_and_the_difference_is_named(self, path, change, difference):
        make(path)
        with pytest.raises(OtherMigration) as refused:
            begin(path, PEER._replace(**change))
        assert refused.value.differences == (difference,)
        assert all(str(value) in str(refused.value) for value in difference if value)
        make(path)

    def test_the_case_of_the_host_makes_no_difference(self, path):
        make(path)
        begin(path, PEER._replace(host="PACS")).close()

    def test_the_first_run_that_sends_fixes_it(self, path):
        begin(path, None).close()
        make(path)
        with pytest.raises(OtherMigration):
            begin(path, PEER._replace(port=1))

    def test_another_one_takes_its_place_until_something_is_sent(self, path):
        waiting = delivery("/data/1", State.WAITING)
        unsendable = delivery("/data/2", State.NOT_SENT, reason="not a DICOM file")
        with begin(path, None) as journal:
            journal.write([waiting, unsendable])
        begin(path, PEER._replace(called_ae_title="MISTYPED")).close()
        with begin(path) as journal:
            journal.write([waiting._replace(state=State.UNKNOWN)])
        with pytest.raises(OtherMigration):
            begin(path, PEER._replace(called_ae_title="OTHER"))

    def test_a_peer_that_moved_has_its_new_address_from_then_on(self, path):
        moved = PEER._replace(host="new", port=104, calling_ae_title="ME", called_ae_title="YOU")
        make(path)
        with pytest.raises(OtherMigration) as refused:
            begin(path, moved)
        assert refused.value.may_be_same_peer
        begin(path, moved, peer_moved=True).close()
        begin(path, moved).close()
        with pytest.raises(OtherMigration):
            begin(path)

    def test_a_peer_that_moved_excuses_no_other_difference(self, path):
        make(path)
        with pytest.raises(OtherMigration) as refused:
            begin(path, PEER._replace(host="new", editing=(("invented patients", "25"),)), peer_moved=True)
        assert [one.fact for one in refused.value.differences] == ["invented patients"]
        assert not refused.value.may_be_same_peer
        make(path)

    def test_the_newest_command_is_kept(self, path, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        words = ["send", "--journal", "run.db", "pacs", "104", os.fsdecode(b"caf\xe9")]
        begin(path, command=["send"]).close()
        begin(path, command=words).close()
        begin(path).close()
        with Reader(str(path)) as reader:
            assert reader.command == (tuple(words), str(tmp_path))
            assert reader.migration["host"] == "pacs"

    def test_a_value_stays_what_it_was_at_first(self, path):
        with begin(path) as journal:
            assert journal.keep("seed", "1") == "1"
        with begin(path) as journal:
            assert journal.keep("seed", "2") == "1"
            assert journal.keep("other", "2") == "2"
            assert journal.run == 2


class TestPlace:
    MOUNTS = (
        b"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        b"30 21 0:40 / /net rw - nfs4 server:/export rw\n"
        b"31 30 0:41 / /net/local rw - xfs /dev/sdb rw\n"
        b"32 21 0:42 / /my\\040share rw shared:2 master:3 - cifs //server/share rw\n"
        b"33 21 0:43 / /ssh rw - fuse.sshfs host: rw\n"
        b"34 21 0:44 / /merged rw - fuse.mergerfs 1:2 rw\n"
        b"nonsense\n"
    )

    @pytest.mark.parametrize(
        ("place", "kind"),
        [
            ("/run.db", "ext4"), ("/network/run.db", "ext4"), ("/net/run.db", "nfs4"), ("/net/local/run.db", "xfs"),
            ("/my share/run.db", "cifs"), ("/ssh/a/run.db", "fuse.sshfs"), ("/merged/run.db", "fuse.mergerfs"),
        ],
    )  # fmt: skip
    def test_the_nearest_mount_counts(self, tmp_path, place, kind):
        mounts = tmp_path / "mountinfo"
        mounts.write_bytes(self.MOUNTS)
        assert file_system(place, str(mounts)) == kind
        if kind in ("nfs4", "cifs", "fuse.sshfs"):
            with pytest.raises(JournalOnNetwork) as refused:
                refuse_network(place, str(mounts))
            assert refused.value.file_system == kind
        else:
            refuse_network(place, str(mounts))

    def test_where_mounts_are_not_known_nothing_is_refused(self, tmp_path):
        refuse_network(str(tmp_path / "run.db"), str(tmp_path / "missing"))

    def test_an_option_overrides(self, path, monkeypatch):
        monkeypatch.setattr("asyncstore.journal.place._ON_NETWORK", {file_system(str(path))})
        with pytest.raises(JournalOnNetwork):
            begin(path)
        assert not path.exists()
        begin(path, allow_network=True).close()

    def test_a_journal_that_exists_keeps_its_mode(self, path):
        make(path)
        path.chmod(0o640)
        make(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_class_is_the_public_way_in(path):
    with suppress(RuntimeError), Journal.open(str(path), PEER, version="1") as journal:
        journal.record(Outcomes([delivery("/data/a").outcome(1)], 0, {}))
        raise RuntimeError
    with Reader(str(path)) as reader:
        assert reader.rows("SELECT ending FROM runs") == [("RuntimeError",)]


def test_a_journal_is_named_by_a_path_of_any_kind_and_its_other_arguments_are_checked(tmp_path):
    Journal.open(tmp_path / "run.db", None, version="0").close()
    with pytest.raises(UsageError, match="migration must be"):
        Journal.open(str(tmp_path / "run.db"), ("pacs", 104, "US", "THEM"), version="0")
    Journal.open(tmp_path / "run.db", None, version="0").close()
