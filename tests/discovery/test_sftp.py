"""SFTP: what is sent from a server, and how connections and host keys are treated."""

from __future__ import annotations

import socket
from functools import partial

import fsspec
import pytest

from asyncstore import Result, Sink, WalkOptions
from asyncstore.discovery import remote, stores
from support import trees
from support.oracle import send
from support.sftp import PASSWORD, USER, running_sftp

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    """The files of the server."""
    folder = tmp_path / "files"
    trees.instances(folder / "a", 3)
    trees.instances(folder / "b", 1, data_set_bytes=300_000, seed=1)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without keys of a user or a host."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def settings(monkeypatch):
    """The settings of the user."""
    settings = {"username": USER, "password": PASSWORD}
    monkeypatch.setitem(fsspec.config.conf, "sftp", settings)
    return settings


@pytest.fixture
def server(folder, home, settings):
    """A server, whose host key is known."""
    del settings
    with running_sftp(folder) as server:
        (home / ".ssh" / "known_hosts").write_text(server.known_hosts())
        yield server
        _close(server)


def url_of(server):
    return f"sftp://{USER}@127.0.0.1:{server.port}/"


def _close(server):
    try:
        store, _ = stores.opened_store(url_of(server))
    except stores.Refused:
        return
    if store.system.client is not None:
        store.system.client.close()


found = partial(remote.objects, recurse=True, wanted=bool)


def content(path):
    return b"".join(path.unpack())


async def test_the_files_of_a_server_are_sent(server, folder, tmp_path):
    async with Sink(port=0, output=tmp_path / "out") as sink:
        ran = await send(sink.port, [url_of(server)], WalkOptions(remote=True))
    assert ran.results == {Result.STORED: 4}
    assert trees.data_sets(tmp_path / "out") == trees.data_sets(folder)


def test_large_files_come_in_several_requests(server, folder, monkeypatch):
    monkeypatch.setattr(remote, "_PIECE", 100_000)
    [large] = (folder / "b").rglob("*.dcm")
    [path] = found(f"{url_of(server)}b")
    assert content(path) == large.read_bytes()


@pytest.mark.parametrize("change", [b"shorter", b"longer" * 1000])
def test_a_file_that_has_changed_is_noticed(change, server, folder):
    (folder / "one").write_bytes(b"some bytes")
    [path] = found(f"{url_of(server)}one")
    (folder / "one").write_bytes(change)
    with pytest.raises(remote.Damaged, match="the object was changed since it was found"):
        content(path)


def test_links_to_files_are_files_and_others_are_not_followed(server, folder):
    (folder / "links").mkdir()
    [large] = (folder / "b").rglob("*.dcm")
    for name, target in {"file": large, "circle": "..", "broken": "nowhere"}.items():
        (folder / "links" / name).symlink_to(target)
    broken, circle, file = found(f"{url_of(server)}links")
    assert content(file) == large.read_bytes()
    for path in (broken, circle):
        with pytest.raises(remote.Damaged, match="a symbolic link that leads to no file, and is not followed"):
            content(path)


def test_a_lost_connection_is_made_again(server, folder):
    (folder / "one").write_bytes(b"some bytes")
    [path] = found(f"{url_of(server)}one")
    store, _ = stores.opened_store(url_of(server))
    store.system.client.get_transport().close()
    assert content(path) == b"some bytes"


def test_a_missing_file_is_said(server):
    with pytest.raises(stores.Refused, match="no such object, and nothing below such a prefix"):
        list(found(f"{url_of(server)}gone"))


def test_a_server_that_refuses_connections_is_said(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(stores, "sleep", pauses.append)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(stores.Refused, match="the store cannot be reached: it refuses connections"):
        list(found(url_of(server._replace(port=port))))
    assert pauses == [0.5, 1.0]


def test_a_wrong_password_is_a_reason_without_it(server, settings):
    settings["password"] = PASSWORD[:-1]
    with pytest.raises(stores.Refused, match="the store refuses it: check the credentials"):
        list(found(url_of(server)))


def test_a_server_whose_host_key_is_not_known_is_not_used(server, home):
    (home / ".ssh" / "known_hosts").unlink()
    with pytest.raises(stores.Refused, match="the host key of the store is not known"):
        list(found(url_of(server)))


def test_a_server_with_another_host_key_is_not_used(server, home, folder):
    with running_sftp(folder) as other:
        known = other.known_hosts().replace(str(other.port), str(server.port))
    (home / ".ssh" / "known_hosts").write_text(known)
    with pytest.raises(stores.Refused, match="the host key of the store is another one than was known"):
        list(found(url_of(server)))


def test_any_host_key_is_taken_where_the_user_says_so(server, home, settings, folder):
    (home / ".ssh" / "known_hosts").unlink()
    settings["host_key_policy"] = "auto_add"
    assert len(list(found(url_of(server)))) == sum(path.is_file() for path in folder.rglob("*"))
