"""TLS with all kinds of peers: data sets arrive, and each failure has its cause in the message."""

import asyncio
import re
import socket
import ssl
import struct
import subprocess
import warnings
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from asyncstore import Result, Sender, Sink, Timeouts, TlsOptions, UsageError
from asyncstore.errors import (
    LinkLost,
    NoCommonTls,
    NotTls,
    OurCertificateRefused,
    PeerCertificateRefused,
    TimedOut,
    TlsFailed,
    TlsInterrupted,
)
from asyncstore.negotiation import verification
from asyncstore.network.addresses import connect, listen
from asyncstore.network.opening import AssociationOptions, open_association
from asyncstore.network.tls import TlsAcceptor, TlsRequestor, available_cipher_suites
from asyncstore.network.tls_link import Session, shake_hands
from asyncstore.network.tls_profiles import CIPHER_SUITES, PROFILES
from support.commands import asyncstore, running_sink
from support.oracle import GUARD, assert_true, in_both_loops, nothing_left_behind, send, until
from support.peers.certificates import LAST_YEAR, NEXT_YEAR, Authority, self_signed
from support.peers.programs import find_program, has_ipv6
from support.trees import data_sets, instances

pytestmark = pytest.mark.slow

TIMEOUTS = Timeouts(connect=GUARD)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An authority, and the certificates that most tests need."""
    return Made(tmp_path_factory.mktemp("certificates"))


class Made:
    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority.make()
        self.trusted = (self.authority.write(folder),)
        self.server = self.authority.certify("localhost", "127.0.0.1")
        self.server_files = self.server.write(folder, "server")
        self.ours = self.authority.certify(common_name="ours")
        self.our_files = self.ours.write(folder, "ours")
        self.stranger = Authority.make("an authority nobody knows")

    def acceptor(self, files=None, **options):
        return TlsOptions(*(files or self.server_files), trusted=self.trusted, **options)

    def requestor(self, **options):
        key, certificate = self.our_files
        return TlsOptions(**{"key": key, "certificate": certificate, "trusted": self.trusted} | options)


@asynccontextmanager
async def listening(serve):
    """A loopback port; a function serves each connection in a task, which is cancelled in the end."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def refusal(port, options, host="localhost"):
    """The error of an association over TLS that fails."""
    async with asyncio.timeout(GUARD):
        with pytest.raises(Exception) as failed:  # noqa: PT011 - the caller looks at its type
            await anext(Sender(host, port, tls=options, timeouts=TIMEOUTS, ip_version=4).echo())
    return failed.value


async def echo(port, options, host="localhost"):
    """Open an association over TLS and send a C-ECHO."""
    async with asyncio.timeout(GUARD):
        echoes = Sender(host, port, tls=options, timeouts=TIMEOUTS, ip_version=4).echo()
        seconds = await anext(echoes)
        await echoes.aclose()
        return seconds


# Data arrives ---------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_opening_says_how_long_each_step_took(made):
    options = AssociationOptions(tls=TlsRequestor(made.requestor(), "localhost"), timeouts=TIMEOUTS, ip_version=4)
    async with Sink(port=0, tls=made.acceptor()) as sink:
        association = await open_association("localhost", sink.port, verification(), options)
        assert all(seconds > 0 for seconds in association.steps)
        await association.release()
        await association.close()


@in_both_loops
async def test_the_repr_of_options_hides_the_password():
    options = TlsOptions("key.pem", "cert.pem", "geheim", password_attempts=3)
    assert "geheim" not in f"{options} {options!r} {options!s} {(options,)}"
    assert repr(options).startswith("TlsOptions(key='key.pem', certificate='cert.pem', password='***', ")
    assert repr(TlsOptions()).startswith("TlsOptions(key=None, certificate=None, password=None, ")


async def test_data_sets_arrive_byte_for_byte(made, tmp_path):
    files = instances(tmp_path / "files", 12, data_set_bytes=700_002)
    async with nothing_left_behind(), Sink(port=0, output=tmp_path / "out", tls=made.acceptor()) as sink:
        ran = await send(sink.port, files, tls=made.requestor(), associations=3)
        assert ran.results == {Result.STORED: 12}
        assert_true(ran, files, data_sets(tmp_path / "out"))


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - {"basic"}))
async def test_two_sides_of_one_profile_understand_each_other(made, profile):
    files = made.authority.certify("localhost", rsa_bits=2048).write(made.folder, "rsa")  # some profiles know only RSA
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor(files, profile=profile)) as sink:
        assert await echo(sink.port, made.requestor(profile=profile)) >= 0


class Pair:
    """Two TLS links with one another, and what they reported."""

    def __init__(self):
        self.received = {"requestor": bytearray(), "acceptor": bytearray()}
        self.ends = {"requestor": [], "acceptor": []}
        self.drained = 0
        self.pauses = False
        """Whether the acceptor pauses reading after each receipt."""

    def _drained(self):
        self.drained += 1

    def _taken(self, data):
        self.received["acceptor"].extend(data)
        if self.pauses:
            self.acceptor.pause_reading()

    async def open(self, made):
        with listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            ours = await connect("127.0.0.1", port, GUARD)
            theirs, _ = await asyncio.get_running_loop().sock_accept(listening)
        make_ours, make_theirs = await asyncio.gather(
            TlsRequestor(made.requestor(), "127.0.0.1").secure(ours, "an acceptor", TIMEOUTS),
            TlsAcceptor(made.acceptor()).secure(theirs, "a requestor"),
        )
        self.requestor = make_ours(self.received["requestor"].extend, self.ends["requestor"].append, self._drained)
        self.acceptor = make_theirs(self._taken, self.ends["acceptor"].append, lambda: None)
        return self


@asynccontextmanager
async def linked(made):
    pair = await Pair().open(made)
    try:
        yield pair
    finally:
        pair.requestor.close()
        pair.acceptor.close()


@in_both_loops
async def test_both_directions_at_once_in_buffers_of_every_size(made):
    there = [bytes([n % 251]) * (n * 37 % 70_000) for n in range(400)] + [bytes(3_000_000)]
    back = [bytes([n % 241]) * (n * 41 % 50_000) for n in range(300)]
    async with nothing_left_behind(), linked(made) as pair:
        pair.requestor.send(there)
        pair.acceptor.send(back)
        await until(lambda: len(pair.received["acceptor"]) == sum(map(len, there)))
        await until(lambda: len(pair.received["requestor"]) == sum(map(len, back)))
        assert pair.received["acceptor"] == b"".join(there)
        assert pair.received["requestor"] == b"".join(back)
        assert not pair.requestor.is_blocked
        assert pair.requestor.bytes_sent > sum(map(len, there))


@in_both_loops
async def test_a_slow_reader_blocks_and_nothing_is_encrypted_ahead(made):
    async with nothing_left_behind(), linked(made) as pair:
        pair.acceptor.pause_reading()
        pair.requestor.send([bytes(1_000_000)] * 40)
        assert pair.requestor.is_blocked
        await asyncio.sleep(0.05)
        taken = pair.requestor.bytes_sent
        assert 0 < taken < 40_000_000
        assert pair.drained == 0
        pair.acceptor.resume_reading()
        await until(lambda: len(pair.received["acceptor"]) == 40_000_000)
        await until(lambda: not pair.requestor.is_blocked)
        assert pair.drained == 1


@in_both_loops
async def test_reading_can_be_paused_at_any_moment_and_loses_nothing(made):
    """Bytes received before the pause are still handed over."""
    sent = [bytes([n % 251]) * 100_000 for n in range(40)]
    async with nothing_left_behind(), linked(made) as pair:
        pair.pauses = True
        pair.requestor.send(sent)

        def goes_on():
            pair.acceptor.resume_reading()
            return len(pair.received["acceptor"]) >= 4_000_000

        await until(goes_on)
        assert pair.received["acceptor"] == b"".join(sent)


@in_both_loops
async def test_the_peer_learns_of_a_close_once(made):
    async with nothing_left_behind(), linked(made) as pair:
        pair.requestor.send([b"the last words"])
        pair.requestor.close()
        pair.requestor.close()
        pair.requestor.send([b"without effect"])
        await until(lambda: pair.ends["acceptor"])
        await asyncio.sleep(0.01)
        assert pair.received["acceptor"] == b"the last words"
        assert pair.ends == {"requestor": [], "acceptor": [None]}
        assert not pair.requestor.is_blocked


@in_both_loops
async def test_a_run_can_be_cancelled_in_the_middle(made, tmp_path):
    files = instances(tmp_path / "files", 8, data_set_bytes=2_000_000)
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor(), latency=0.2) as sink:
        async with Sender("127.0.0.1", sink.port, tls=made.requestor(), associations=2) as sender:
            run = sender.send(files)
            await anext(run)
        await until(lambda: sink.tally.associations == 0)


# Failures and their causes --------------------------------------------------------------------------------------------


async def failure_with(made, certified, options=None):
    """The error for a peer that shows this certificate."""
    files = certified.write(made.folder, "shown")
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor(files)) as sink:
        return await refusal(sink.port, options or made.requestor())


@in_both_loops
async def test_an_unknown_authority(made):
    error = await failure_with(made, made.stranger.certify("localhost"))
    assert isinstance(error, PeerCertificateRefused)
    assert error.cause == "the peer's certificate is not trusted: its issuer is not known here"
    assert error.reason == "untrusted"
    assert not error.is_transient


@pytest.mark.parametrize(
    ("valid", "cause"),
    [
        (LAST_YEAR, "the peer's certificate has expired"),
        (NEXT_YEAR, "the peer's certificate is not valid yet"),
    ],
)
async def test_a_certificate_of_another_time(made, valid, cause):
    error = await failure_with(made, made.authority.certify("localhost", valid=valid))
    assert (type(error), error.cause) == (PeerCertificateRefused, cause)


async def test_a_named_self_signed_certificate_is_trusted(made):
    files = self_signed("localhost").write(made.folder, "itself")
    trusting = made.requestor(trusted=(files.certificate,))
    async with Sink(port=0, tls=made.acceptor(files)) as sink:
        assert await echo(sink.port, trusting) >= 0
        error = await refusal(sink.port, made.requestor())
    assert error.cause == "the peer's certificate is signed by itself and not trusted here"


@pytest.mark.parametrize("sends_name", [True, False])
@pytest.mark.parametrize(
    ("names", "is_taken"),
    [
        (["localhost"], True),
        (["LOCALHOST"], True),
        (["another.example.org", "127.0.0.1"], False),
        (["*.localhost", "xlocalhost", "*"], False),
    ],
    ids=str,
)
async def test_the_certificate_must_have_the_host_name_even_if_it_is_not_sent(made, names, is_taken, sends_name):
    files = made.authority.certify(*names).write(made.folder, "names")
    options = made.requestor(send_server_name=sends_name)
    async with Sink(port=0, tls=made.acceptor(files)) as sink:
        if is_taken:
            assert await echo(sink.port, options) >= 0
            return
        error = await refusal(sink.port, options)
        assert await echo(sink.port, options._replace(verify_host_name=False)) >= 0
        assert await echo(sink.port, options._replace(peer_certificate="ignore")) >= 0
    assert isinstance(error, PeerCertificateRefused)
    assert error.cause == "the peer's certificate was made for another host name, not for 'localhost'"
    assert error.reason == "wrong host"


@pytest.mark.parametrize("sends_name", [True, False])
async def test_without_alternative_names_the_common_name_counts(made, sends_name):
    files = made.authority.certify(common_name="localhost").write(made.folder, "common")
    async with Sink(port=0, tls=made.acceptor(files)) as sink:
        assert await echo(sink.port, made.requestor(send_server_name=sends_name)) >= 0


@pytest.mark.parametrize("sends_name", [True, False])
async def test_an_ip_address_must_be_in_the_certificate(made, sends_name):
    options = made.requestor(send_server_name=sends_name)
    async with Sink(port=0, tls=made.acceptor()) as sink:
        assert await echo(sink.port, options, host="127.0.0.1") >= 0
    files = made.authority.certify("localhost").write(made.folder, "no-address")
    async with Sink(port=0, tls=made.acceptor(files)) as sink:
        error = await refusal(sink.port, options, host="127.0.0.1")
    assert error.cause == "the peer's certificate was not made for this IP address"


NOT_FOR_LOCALHOST = "the peer's certificate was made for another host name, not for 'localhost'"
NOT_FOR_THE_ADDRESS = "the peer's certificate was not made for this IP address"


@pytest.mark.parametrize(
    ("names", "host", "cause"),
    [
        (["localhost"], "localhost", None),
        (["127.0.0.1"], "127.0.0.1", None),
        (["pacs.example.org", "127.0.0.1"], "localhost", NOT_FOR_LOCALHOST),
        (["pacs.example.org", "localhost", "127.0.0.2"], "127.0.0.1", NOT_FOR_THE_ADDRESS),
    ],
    ids=str,
)
async def test_the_certificate_must_have_the_host_name_despite_another_server_name(made, names, host, cause):
    files = made.authority.certify(*names).write(made.folder, "whose")
    named = made.requestor(server_name="pacs.example.org")
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor(files)) as sink:
        if cause is None:
            assert await echo(sink.port, named, host) >= 0
            return
        error = await refusal(sink.port, named, host)
        assert (type(error), error.cause) == (PeerCertificateRefused, cause)
        assert await echo(sink.port, named._replace(verify_host_name=False), host) >= 0


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
async def test_any_spelling_of_an_ipv6_address_matches_the_certificate(made):
    files = made.authority.certify("::1").write(made.folder, "six")
    options = made.requestor(server_name="pacs.example.org")
    async with Sink(host="::1", port=0, tls=made.acceptor(files)) as sink, asyncio.timeout(GUARD):
        echoes = Sender("0:0::0:1", sink.port, tls=options, timeouts=TIMEOUTS).echo()
        assert await anext(echoes) >= 0
        await echoes.aclose()


async def verdict(made, certified, host, **options):
    """The error of a handshake with this certificate for a dialled host; ``None``: it is accepted."""
    requestor = TlsRequestor(made.requestor(**options), host)
    async with Sink(port=0, tls=made.acceptor(certified.write(made.folder, "verdict"))) as sink:
        connected = await connect("127.0.0.1", sink.port, GUARD)
        try:
            make_link = await requestor.secure(connected, "an acceptor", TIMEOUTS)
        except TlsFailed as error:
            return error
        make_link(lambda _: None, lambda _: None, lambda: None).close()
        return None


def assert_another_host_s(error, host):
    assert type(error) is PeerCertificateRefused
    assert error.cause == f"the peer's certificate was made for another host name, not for {host!r}"


@pytest.mark.parametrize("options", [{}, {"send_server_name": False}, {"server_name": "any.example.org"}], ids=str)
@pytest.mark.parametrize(
    ("name", "host", "is_taken"),
    [
        ("*.example.org", "pacs.example.org", True),
        ("*.EXAMPLE.org", "PACS.example.ORG", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "a.pacs.example.org", False),
        ("*.*.org", "pacs.example.org", False),
        ("pacs.*.org", "pacs.example.org", False),
        ("p*.example.org", "pacs.example.org", False),
        ("*.org", "example.org", False),
        ("*.0.0.1", "127.0.0.1", False),
        ("xn--mnchen-3ya.example", "münchen.example", True),
        ("XN--mnchen-3ya.example", "MÜNCHEN.example", True),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example", True),
        ("xn--mnchen-3ya.example", "munchen.example", False),
        ("*.xn--mnchen-3ya.example", "pacs.münchen.example", True),
        ("*.example.org", "münchen.example.org", True),
        ("xn--*.example.org", "münchen.example.org", False),
    ],
)
async def test_our_host_check_agrees_with_openssls(made, name, host, is_taken, options):
    """OpenSSL decides by default; with another server name, or none, it cannot."""
    error = await verdict(made, made.authority.certify(name), host, **options)
    if is_taken:
        assert error is None
    elif host == "127.0.0.1":
        assert error.cause == NOT_FOR_THE_ADDRESS
    else:
        assert_another_host_s(error, host)


@pytest.mark.parametrize(
    ("name", "host", "is_taken"),
    [
        ("localhost.", "localhost", True),
        ("localhost", "localhost.", True),
        ("localhost.", "localhost.", True),
        ("*.example.org.", "pacs.example.org", True),
        ("localhost..", "localhost", False),
        ("localhost", "localhost..", False),
        (".", ".", False),
    ],
)
async def test_one_dot_at_the_end_of_a_name_is_ignored(made, name, host, is_taken):
    error = await verdict(made, made.authority.certify(name), host, send_server_name=False)
    if is_taken:
        assert error is None
    else:
        assert_another_host_s(error, host)


@pytest.mark.parametrize("name", ["münchen.example".encode(), b"m\xfcnchen.example", b"\xe2\x84\xaa.example", b""])
@pytest.mark.parametrize("host", ["münchen.example", "k.example", ""])  # a KELVIN SIGN in lower case is a k
async def test_a_name_that_no_certificate_may_hold_never_matches(made, name, host):
    error = await verdict(made, made.authority.certify(dns_name=name), host, send_server_name=False)
    assert_another_host_s(error, host)


async def test_an_address_in_wide_digits_matches_as_it_is_dialled(made):
    wide = "\uff11\uff12\uff17.0.0.1"
    assert await verdict(made, made.authority.certify("127.0.0.1"), wide, send_server_name=False) is None
    error = await verdict(made, made.authority.certify("*.0.0.1"), wide, send_server_name=False)
    assert error.cause == NOT_FOR_THE_ADDRESS


async def test_a_host_that_cannot_be_a_server_name_has_its_own_message(made):
    error = await verdict(made, made.server, "pacs..example.org")
    assert (type(error), error.cause) == (TlsFailed, "'pacs..example.org' cannot be sent as a server name")
    assert error.reason == "server name"


def test_an_ip_address_is_no_server_name(made):
    assert complaint(made, server_name="127.0.0.1").startswith("server name 127.0.0.1: an IP address is no server")


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, ["localhost", None]),
        ({"send_server_name": False}, [None, None]),
        ({"server_name": "pacs.example.org"}, ["pacs.example.org", "pacs.example.org"]),
    ],
)
async def test_the_server_name_is_sent_unless_disabled(made, options, sent):
    seen = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server_files.certificate, made.server_files.key)
    context.sni_callback = lambda _tls, name, _context: seen.append(name)
    server = await asyncio.start_server(lambda _r, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await refusal(port, made.requestor(**options))
        await refusal(port, made.requestor(**options), host="127.0.0.1")
    assert seen == sent


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_a_revoked_certificate(made, encoding):
    form = "der" if encoding is Encoding.DER else "pem"
    revoked = made.authority.revoke(made.folder, made.server, name=form, encoding=encoding)
    trusted = made.authority.write(made.folder, form, encoding=encoding)
    own = made.ours.write(made.folder, f"ours-{form}", encoding=encoding)
    options = TlsOptions(*own, file_format=form, trusted=(trusted,), revocation_lists=(revoked,))
    error = await failure_with(made, made.server, options)
    assert (type(error), error.cause) == (PeerCertificateRefused, "the peer's certificate is revoked")
    assert error.reason == "revoked"
    other = made.authority.certify("localhost").write(made.folder, "not-revoked")
    async with Sink(port=0, tls=made.acceptor(other)) as sink:
        assert await echo(sink.port, options) >= 0


@pytest.mark.parametrize(("revocation", "is_refused"), [("none", False), ("certificate", False), ("chain", True)])
async def test_a_revoked_authority_is_refused_with_cra_and_warned_of_with_crl(made, caplog, revocation, is_refused):
    below = made.authority.certify_authority()
    lists = (made.authority.revoke(made.folder, below.own, name="root"), below.revoke(made.folder, name="below"))
    server = below.certify("localhost").write(made.folder, "below", chain=(below,))
    options = made.requestor(revocation_lists=lists, revocation=revocation)
    async with Sink(port=0, tls=made.acceptor(server)) as sink:
        if is_refused:
            with pytest.raises(PeerCertificateRefused, match="revoked"):
                await echo(sink.port, options)
        else:
            assert await echo(sink.port, options) >= 0
    warnings = [record.getMessage() for record in caplog.records if "is not noticed" in record.getMessage()]
    assert len(warnings) == (revocation == "none")


async def test_a_missing_revocation_list_refuses_the_certificate(made):
    error = await failure_with(made, made.server, made.requestor(revocation="chain"))
    assert "revocation list of its issuer is missing" in error.cause
    assert error.reason == "no revocation list"


async def test_a_short_key_needs_a_retired_profile(made):
    short = made.authority.certify("localhost", rsa_bits=1024)
    files = short.write(made.folder, "short")
    async with Sink(port=0, tls=made.acceptor(files, profile="bcp195")) as sink:
        error = await refusal(sink.port, made.requestor())
        assert await echo(sink.port, made.requestor(profile="bcp195")) >= 0
    assert (type(error), error.cause) == (
        PeerCertificateRefused,
        "the key of the peer's certificate is too short for the security profile",
    )
    with pytest.raises(UsageError, match=r"short\.crt: its key or its signature is too weak"):
        TlsAcceptor(made.acceptor(files))


async def test_a_weak_authority_of_our_own_certificate_is_not_taken_for_the_peers(made):
    """OpenSSL notices it in the handshake, when it completes our chain with a trusted certificate."""
    weak = Authority.make("a weak authority", rsa_bits=1024)
    key, certificate = weak.certify().write(made.folder, "under-weak")
    trusted = (*made.trusted, weak.write(made.folder, "weak"))
    async with Sink(port=0, tls=made.acceptor(profile="bcp195")) as sink:
        error = await refusal(sink.port, made.requestor(key=key, certificate=certificate, trusted=trusted))
    assert error.cause == "an authority of our own certificate is too weak for the security profile"
    assert error.reason == "too weak"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@in_both_loops
async def test_a_peer_that_wants_a_certificate_of_ours(made, version):
    """With TLS 1.3 its alert comes after the end of our handshake."""
    sink_options = made.acceptor(profile="bcp195-ex" if version == "TLSv1_2" else "8996")
    profile = {"profile": sink_options.profile}
    async with nothing_left_behind(), Sink(port=0, tls=sink_options) as sink:
        error = await refusal(sink.port, TlsOptions(trusted=made.trusted, **profile))
        assert (type(error), error.cause) == (OurCertificateRefused, "the peer wants a certificate of ours")
        assert error.reason == "no certificate of ours"
        strange = made.stranger.certify().write(made.folder, "strange")
        error = await refusal(sink.port, TlsOptions(*strange, trusted=made.trusted, **profile))
        assert (type(error), error.cause) == (OurCertificateRefused, "the peer does not trust our certificate's issuer")


async def test_an_acceptor_can_do_without_a_certificate_of_its_peer(made):
    for policy in ("verify", "ignore"):
        async with Sink(port=0, tls=made.acceptor(peer_certificate=policy)) as sink:
            assert await echo(sink.port, TlsOptions(trusted=made.trusted)) >= 0
            strange = made.stranger.certify().write(made.folder, "strange")
            shown = TlsOptions(*strange, trusted=made.trusted)
            if policy == "ignore":
                assert await echo(sink.port, shown) >= 0
            else:
                assert isinstance(await refusal(sink.port, shown), OurCertificateRefused)


def tls_1_1(made):
    """A context that supports TLS 1.1 at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    key, certificate = made.authority.certify("localhost", rsa_bits=2048).write(made.folder, "old")
    context.load_cert_chain(certificate, key)
    return context


def handshake_with_one(listening, context, agreed):
    """Accept a connection with blocking OpenSSL in a thread: it sends its alert before the end."""
    connected, _ = listening.accept()
    with connected, suppress(OSError), context.wrap_socket(connected, server_side=True) as secured:
        agreed.append(secured.version())


async def test_only_a_retired_profile_accepts_a_peer_of_tls_1_1(made):
    agreed = []
    with listen("127.0.0.1", 0) as listening:
        listening.setblocking(True)
        port = listening.getsockname()[1]
        served = asyncio.create_task(asyncio.to_thread(handshake_with_one, listening, tls_1_1(made), agreed))
        error = await refusal(port, made.requestor())
        assert (type(error), error.cause) == (NoCommonTls, "no version of TLS that both sides allow")
        assert error.reason == "no common version"
        await served
        assert agreed == []
        served = asyncio.create_task(asyncio.to_thread(handshake_with_one, listening, tls_1_1(made), agreed))
        assert isinstance(await refusal(port, made.requestor(profile="bcp195")), LinkLost)  # it closes after that
        await served
        assert agreed == ["TLSv1.1"]


async def test_no_common_cipher_suite(made):
    async with Sink(port=0, tls=made.acceptor(profile="bcp195-ex")) as sink:  # a key for elliptic curves
        error = await refusal(sink.port, made.requestor(profile="aes"))
    assert (type(error), error.cause) == (NoCommonTls, "no cipher suite that both sides allow")
    assert error.reason == "no common cipher suite"


async def says(words, reader, writer):
    await reader.read(100)
    writer.write(words)
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes.fromhex("07000000000400000200"), b"220 mail ready\r\n"]
)
@in_both_loops
async def test_a_peer_that_speaks_something_else(made, words):
    async with nothing_left_behind(), listening(partial(says, words)) as port:
        error = await refusal(port, made.requestor())
    assert (type(error), error.cause) == (NotTls, "the peer does not speak TLS")


@pytest.mark.parametrize(
    ("code", "alert"), [(80, "internal error"), (51, "decrypt error"), (110, "unsupported extension")]
)
async def test_an_alert_that_names_no_cause_of_ours_is_told_as_the_peers(made, code, alert):
    """RFC 8446 6: a record of type 21, a fatal level, and the alert's number."""
    async with nothing_left_behind(), listening(partial(says, bytes((21, 3, 3, 0, 2, 2, code)))) as port:
        error = await refusal(port, made.requestor())
    assert (error.cause, error.reason) == (f"the peer broke off with the alert '{alert}'", "peer's alert")


@in_both_loops
async def test_a_peer_that_closes_instead_of_a_handshake(made):
    async with nothing_left_behind(), listening(partial(says, b"")) as port:
        error = await refusal(port, made.requestor())
    assert isinstance(error, TlsInterrupted)
    assert "during the handshake" in error.cause
    assert error.is_transient


@pytest.mark.parametrize(
    ("timeouts", "limit"), [(Timeouts(connect=0.2), "connect"), (Timeouts(connect=None, acse=0.2), "acse")]
)
@in_both_loops
async def test_a_peer_that_says_nothing_is_given_up(made, timeouts, limit):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with nothing_left_behind(), listening(silent) as port:
        with pytest.raises(TimedOut, match=r"no end of the TLS handshake within 0\.2 s") as failed:
            await anext(Sender("localhost", port, tls=made.requestor(), timeouts=timeouts, ip_version=4).echo())
    assert failed.value.timeout == limit
    assert failed.value.may_be_plain


async def test_a_peer_that_stops_after_its_part_of_the_handshake_speaks_tls(made):
    acceptor = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    acceptor.maximum_version = ssl.TLSVersion.TLSv1_2  # with TLS 1.3 its part would be all
    acceptor.load_cert_chain(made.server_files.certificate, made.server_files.key)
    requestor = ssl.create_default_context(cafile=made.trusted[0])
    session = Session.begin(requestor, "peer:104", server_name="localhost")
    with suppress(ssl.SSLWantReadError):
        session.tls.do_handshake()
    with suppress(ssl.SSLWantReadError):
        incoming = ssl.MemoryBIO()
        incoming.write(session.outgoing.read())
        acceptor.wrap_bio(incoming, session.incoming, server_side=True).do_handshake()
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimedOut) as failed:
        await shake_hands(ours, session, 0.1, "acse")
    assert not failed.value.may_be_plain


async def test_a_slow_handshake_does_not_block_others(made, caplog):
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor()) as sink:
        _, slow = await asyncio.open_connection("127.0.0.1", sink.port)
        assert await echo(sink.port, made.requestor()) >= 0
        slow.write(b"A plain association request, say" * 10)
        await until(lambda: "the peer does not speak TLS" in caplog.text)
        slow.close()
        _, silent = await asyncio.open_connection("127.0.0.1", sink.port)
        assert await echo(sink.port, made.requestor()) >= 0
        silent.close()


HELLO_CUT_SHORT = bytes.fromhex("160301020001000001fc0303") + bytes(50)
ASSOCIATE_RQ = bytes.fromhex("0100000000d000010000") + b"ANY-SCP         STORESCU        " + bytes(172)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", "TLS: the peer does not speak TLS"),
        (ASSOCIATE_RQ, "TLS: the peer does not speak TLS"),
        (bytes.fromhex("160301000401000000"), "TLS: "),
        (b"", "TLS: the connection was closed by the peer during the handshake"),
        (HELLO_CUT_SHORT, "TLS: the connection was closed by the peer during the handshake"),
    ],
    ids=["HTTP", "plain DICOM", "a ClientHello of nothing", "nothing", "half a ClientHello"],
)
@in_both_loops
async def test_a_stranger_at_a_tls_port_is_logged_in_one_line(made, caplog, words, message):
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor()) as sink:
        with socket.create_connection(("127.0.0.1", sink.port)) as stranger:
            stranger.sendall(words)
            name = "{}:{}".format(*stranger.getsockname())
        await until(lambda: caplog.messages)
        assert await echo(sink.port, made.requestor()) >= 0
    assert [line[: len(name) + 2 + len(message)] for line in caplog.messages if name in line] == [f"{name}: {message}"]
    assert not any(record.exc_info for record in caplog.records)


@in_both_loops
async def test_a_requestor_that_resets_or_keeps_silent_in_the_handshake(made, caplog, monkeypatch):
    monkeypatch.setattr("asyncstore.network.tls.ARTIM", 0.3)
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor()) as sink:
        with socket.create_connection(("127.0.0.1", sink.port)) as stranger:
            stranger.sendall(HELLO_CUT_SHORT)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: "TLS: the connection was reset by the peer during the handshake" in caplog.text)
        with socket.create_connection(("127.0.0.1", sink.port)) as stranger:
            stranger.sendall(HELLO_CUT_SHORT)
            await until(lambda: "no end of the TLS handshake within 0.3 s" in caplog.text)
    assert len(caplog.messages) == 2


@in_both_loops
async def test_other_protocols_within_tls_are_logged(made, caplog):
    context = ssl.create_default_context(cafile=made.trusted[0])
    context.load_cert_chain(made.our_files.certificate, made.our_files.key)
    async with nothing_left_behind(), Sink(port=0, tls=made.acceptor()) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.readexactly(10))[:1] == b"\x07"  # A-ABORT
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    assert [message.partition(": ")[2] for message in caplog.messages] == ["it speaks HTTP; the connection is closed"]


@pytest.mark.parametrize("turns", range(6))
@in_both_loops
async def test_a_closing_sink_closes_connections_in_any_phase_of_their_handshake(made, turns):
    """A connection accepted just then has a task that never runs; an unclosed socket is a ResourceWarning."""
    async with nothing_left_behind():
        async with Sink(port=0, tls=made.acceptor()) as sink:
            requestor = socket.create_connection(("127.0.0.1", sink.port))
            for _ in range(turns):
                await asyncio.sleep(0)
        with requestor, suppress(ConnectionResetError):
            requestor.setblocking(False)
            async with asyncio.timeout(GUARD):
                assert await asyncio.get_running_loop().sock_recv(requestor, 1) == b""


async def test_damage_on_the_way_is_noticed(made):
    async with linked(made) as pair:
        pair.acceptor._socket.send(bytes.fromhex("1703030020") + bytes(32))  # noqa: SLF001 - no TLS would send this
        await until(lambda: pair.ends["requestor"])
        assert isinstance(pair.ends["requestor"][0], TlsFailed)


# Our own files --------------------------------------------------------------------------------------------------------


def complaint(made, **options):
    with pytest.raises(UsageError) as refused:
        TlsRequestor(made.requestor(**options), "localhost")
    return str(refused.value)


@pytest.mark.parametrize("key_format", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("rsa_bits", [0, 2048])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_private_keys_of_every_form(made, rsa_bits, key_format, encoding):
    form = "der" if encoding is Encoding.DER else "pem"
    trusted = (made.authority.write(made.folder, form, encoding=encoding),)
    made_key = made.authority.certify(rsa_bits=rsa_bits)
    files = made_key.write(made.folder, "form", encoding=encoding, key_format=key_format)
    TlsRequestor(TlsOptions(*files, file_format=form, trusted=trusted), "localhost")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_passwords_of_private_keys(made, encoding):
    form = "der" if encoding is Encoding.DER else "pem"
    trusted = (made.authority.write(made.folder, form, encoding=encoding),)
    files = made.ours.write(made.folder, "secret", password="a secret", encoding=encoding)  # noqa: S106 - a test's
    options = TlsOptions(*files, file_format=form, trusted=trusted)
    TlsRequestor(options._replace(password="a secret"), "localhost")  # noqa: S106 - a test's
    TlsRequestor(options._replace(password=lambda: "a secret"), "localhost")
    for password, words in (
        ("wrong", "the password is wrong"),
        ("", "the password is wrong"),
        (None, "has a password, and none was given"),
        ("x" * 2000, "password cannot be longer"),
    ):
        with pytest.raises(UsageError, match=f"private key .*secret.key: .*{words}"):
            TlsRequestor(options._replace(password=password), "localhost")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_password_may_be_mistyped_twice(made, encoding):
    form = "der" if encoding is Encoding.DER else "pem"
    files = made.ours.write(made.folder, "mistyped", password="a secret", encoding=encoding)  # noqa: S106 - a test's
    options = TlsOptions(*files, file_format=form, peer_certificate="ignore", password_attempts=3)
    typed = iter(("wrong", "wronger", "a secret"))
    TlsRequestor(options._replace(password=lambda: next(typed)), "localhost")
    assert not list(typed)
    typed = iter(("wrong",) * 4)
    with pytest.raises(UsageError, match="the password is wrong"):
        TlsRequestor(options._replace(password=lambda: next(typed)), "localhost")
    assert list(typed) == ["wrong"], "three times it was asked for"


def test_a_right_password_is_asked_for_once(made):
    files = made.ours.write(made.folder, "unfit", password="a secret")  # noqa: S106 - a test's
    typed = iter(("a secret",))
    other = made.authority.certify().write(made.folder, "other")
    options = TlsOptions(files.key, other.certificate, lambda: next(typed), peer_certificate="ignore")
    with pytest.raises(UsageError, match="does not belong to the certificate"):
        TlsRequestor(options, "localhost")


def test_a_key_without_password_asks_for_none(made):
    TlsRequestor(made.requestor(password=lambda: pytest.fail("it asked")), "localhost")


def test_what_is_wrong_with_our_files_is_said_with_what_it_is_for_and_file(made):
    missing, junk = str(made.folder / "missing"), made.folder / "junk"
    junk.write_text("nothing of the kind")
    key, certificate = made.our_files
    server = made.server_files.key
    assert complaint(made, key=missing) == f"private key {missing}: cannot read it: No such file or directory"
    assert complaint(made, key=str(junk)) == f"private key {junk}: it is not a PEM file"
    assert complaint(made, key=certificate) == f"private key {certificate}: there is no private key in it"
    assert "does not belong to the certificate" in complaint(made, key=server)
    assert "damaged" in complaint(made, certificate=key)
    assert complaint(made, trusted=(key,)) == f"trusted certificate {key}: there is no certificate in it"
    assert complaint(made, trusted=(missing,)).startswith(f"trusted certificate {missing}: cannot read it")
    assert complaint(made, revocation_lists=(key,)) == f"revocation list {key}: there is no revocation list in it"
    assert complaint(made, trusted_directories=(missing,)).startswith(
        f"directory of trusted certificates {missing}: cannot read it"
    )
    assert "it is a PEM file, and DER was asked for" in complaint(made, file_format="der")
    der = made.ours.write(made.folder, "as-der", encoding=Encoding.DER)
    assert complaint(made, key=der.key).endswith("it is not a PEM file")


def test_der_that_holds_no_key_is_refused(made):
    trusted = (made.authority.write(made.folder, "der", encoding=Encoding.DER),)
    certificate = made.ours.write(made.folder, "der", encoding=Encoding.DER).certificate
    for content in (b"", b"0", b"0\x82", b"\x04\x01\x00", b"0\x03\x02\x01\x00", bytes(40), b"0\x84\xff\xff\xff\xff"):
        file = made.folder / "no-key"
        file.write_bytes(content)
        with pytest.raises(UsageError, match="no-key: there is no private key in it"):
            TlsRequestor(TlsOptions(str(file), certificate, file_format="der", trusted=trusted), "localhost")


def test_no_private_key_is_left_in_the_temporary_folder(made, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = made.ours.write(made.folder, "left", encoding=Encoding.DER)
    trusted = (made.authority.write(made.folder, "der", encoding=Encoding.DER),)
    TlsRequestor(TlsOptions(*files, file_format="der", trusted=trusted), "localhost")
    with pytest.raises(UsageError):
        TlsRequestor(TlsOptions(made.server.write(made.folder, "o", encoding=Encoding.DER).key, files.certificate,
                                file_format="der", trusted=trusted), "localhost")  # fmt: skip
    assert list(tmp_path.iterdir()) == []


async def test_certificates_of_a_directory_are_trusted_whatever_else_is_there(made, tmp_path):
    (tmp_path / "README").write_text("certificates")
    made.ours.write(tmp_path)
    assert complaint(made, trusted=(), trusted_directories=(str(made.folder / "none"),)).startswith(
        "directory of trusted certificates"
    )
    made.authority.write(tmp_path)
    options = made.requestor(trusted=(), trusted_directories=(str(tmp_path),))
    async with Sink(port=0, tls=made.acceptor()) as sink:
        assert await echo(sink.port, options) >= 0


def test_a_trusted_certificate_is_needed_unless_all_are_ignored(made):
    assert "no certificate is trusted" in complaint(made, trusted=())
    TlsRequestor(made.requestor(trusted=(), peer_certificate="ignore"), "localhost")


def test_an_acceptor_needs_a_certificate(made):
    with pytest.raises(UsageError, match="TLS: an acceptor of associations needs a private key"):
        TlsAcceptor(TlsOptions(trusted=made.trusted))


def test_only_the_owner_can_read_a_new_seed(made, tmp_path):
    seed = tmp_path / "seed"
    TlsRequestor(made.requestor(seed=str(seed), new_seed=str(seed)), "localhost")
    first = seed.read_bytes()
    TlsRequestor(made.requestor(seed=str(seed), new_seed=str(seed)), "localhost")
    assert len(first) == len(seed.read_bytes()) == 1024
    assert seed.read_bytes() != first
    assert seed.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [seed]
    assert "new seed" in complaint(made, new_seed=str(tmp_path / "missing" / "seed"))


# Profiles and cipher suites -------------------------------------------------------------------------------------------


def test_a_profile_without_available_cipher_suites_is_refused(made, monkeypatch):
    assert "there is no security profile 'strong'" in complaint(made, profile="strong")
    weak = tuple(name for name in available_cipher_suites() if "3DES" not in name and "NULL" not in name)
    monkeypatch.setattr("asyncstore.network.tls.available_cipher_suites", lambda: weak)
    for profile, suite in (("basic", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"), ("null", "TLS_RSA_WITH_NULL_SHA")):
        assert f"security profile {profile}: OpenSSL" in complaint(made, profile=profile)
        assert f"cannot do {suite} any more" in complaint(made, profile=profile)


@pytest.mark.parametrize(
    ("profile", "suite", "words"),
    [
        ("8996", "TLS_RSA_WITH_NULL_SHA", "does not encrypt"),
        ("8996", "TLS_RSA_WITH_AES_128_CBC_SHA", "it authenticates with SHA-1"),
        ("8996", "TLS_AES_128_GCM_SHA256", "the cipher suites of TLS 1.3"),
        ("8996", "TLS_OF_MY_OWN", "no cipher suite of that name"),
        ("8996-mod", "TLS_RSA_WITH_AES_128_GCM_SHA256", "no cipher suites may be added"),
        ("bcp195-ex", "TLS_RSA_WITH_AES_128_GCM_SHA256", "no cipher suites may be added"),
        ("bcp195", "TLS_RSA_WITH_NULL_SHA", "does not encrypt"),
    ],
)
def test_cipher_suites_that_a_profile_does_not_take(made, profile, suite, words):
    assert words in complaint(made, profile=profile, cipher_suites=(suite,))


@pytest.mark.parametrize(
    ("profile", "suite", "other"),
    [
        ("8996", "TLS_RSA_WITH_AES_128_CBC_SHA", "bcp195-nd"),
        ("8996", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "bcp195-nd"),
        ("8996", "TLS_RSA_WITH_NULL_SHA", "null"),
        ("8996-mod", "TLS_RSA_WITH_AES_128_GCM_SHA256", "8996"),
        ("bcp195-ex", "TLS_RSA_WITH_AES_128_GCM_SHA256", "8996"),
    ],
)
def test_a_cipher_suite_that_is_not_taken_comes_with_the_profile_that_takes_it(made, profile, suite, other):
    assert complaint(made, profile=profile, cipher_suites=(suite,)).endswith(f"; the security profile {other} takes it")
    TlsRequestor(made.requestor(profile=other, cipher_suites=(suite,)), "localhost")


async def temporary_key(port, made):
    """The acceptor's key for a requestor with DHE only, as the openssl program reports it."""
    process = await asyncio.create_subprocess_exec(
        find_program("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2",
        "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
        "-cert", made.our_files.certificate, "-key", made.our_files.key,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), GUARD)
    found = re.search(r"(?:Server|Peer) Temp Key: (.+)", output.decode())
    return found and found[1]


def dh_parameters(folder, group):
    """A file of them."""
    file = folder / f"{group}.pem"
    words = ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", f"group:{group}", "-out", str(file)]
    subprocess.run([find_program("openssl", "openssl"), *words], check=True, capture_output=True, timeout=GUARD)
    return str(file)


@pytest.mark.peers
async def test_an_acceptor_uses_2048_bits_or_given_parameters_for_dhe(made):
    """As storescp: setBuiltInDHParameters and setTempDHParameters of DCMTK's dcmtls/libsrc/tlslayer.cc."""
    files = made.authority.certify("localhost", rsa_bits=2048).write(made.folder, "dhe")
    for given, key in ((None, "DH, 2048 bits"), (dh_parameters(made.folder, "ffdhe3072"), "DH, 3072 bits")):
        for profile in ("bcp195-ex", "bcp195-nd", "bcp195"):
            async with Sink(port=0, tls=made.acceptor(files, profile=profile, dh_parameters=given)) as sink:
                assert await temporary_key(sink.port, made) == key
    async with Sink(port=0, tls=made.acceptor(files)) as sink:  # RFC 9325 4.1: DHE is not to be used
        assert await temporary_key(sink.port, made) is None


@pytest.mark.peers
async def test_plus_dp_on_the_command_line(made):
    server = made.authority.certify("localhost", rsa_bits=2048).write(made.folder, "dhe")
    shown = ["+tls", *server, "+cf", *made.trusted, "+py"]
    async with running_sink(*shown, "+dp", dh_parameters(made.folder, "ffdhe3072")) as sink:
        assert await temporary_key(sink.port, made) == "DH, 3072 bits"
    refused = await asyncstore("sink", "--port", "0", *shown, "+dp", server.key)
    assert refused.returncode == 1
    assert f"Diffie-Hellman parameters {server.key}: there are none in PEM in it" in refused.err
    assert "Check the value of +dp (--dhparam)." in refused.err


@pytest.mark.peers
def test_dh_parameters_that_cannot_be_used(made):
    def complaint_of(file, profile="8996"):
        with pytest.raises(UsageError) as refused:
            TlsAcceptor(made.acceptor(dh_parameters=str(file), profile=profile))
        return str(refused.value)

    short, missing, key = dh_parameters(made.folder, "modp_1536"), made.folder / "missing", made.our_files.key
    assert f"Diffie-Hellman parameters {short}: they are too short" in complaint_of(short, "bcp195-ex")
    TlsAcceptor(made.acceptor(dh_parameters=short, profile="bcp195-nd"))
    assert complaint_of(key) == f"Diffie-Hellman parameters {key}: there are none in PEM in it"
    assert complaint_of(missing) == f"Diffie-Hellman parameters {missing}: cannot read it: No such file or directory"


async def test_an_added_cipher_suite_is_used(made):
    suite = "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"
    async with Sink(port=0, tls=made.acceptor(profile="aes", cipher_suites=(suite,))) as sink:
        assert await echo(sink.port, made.requestor(profile="aes", cipher_suites=(suite,))) >= 0
        assert isinstance(await refusal(sink.port, made.requestor(profile="aes")), NoCommonTls)


ECDHE_RSA_128, ECDHE_RSA_256 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
ECDHE_ECDSA_128, ECDHE_ECDSA_256 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
DHE_RSA_128, DHE_RSA_256 = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"
DCMTK_3_7_0 = {
    "8996": [ECDHE_RSA_128, ECDHE_ECDSA_128, ECDHE_RSA_256, ECDHE_ECDSA_256],
    "8996-mod": [
        "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", ECDHE_RSA_128, ECDHE_ECDSA_128,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", ECDHE_RSA_256, ECDHE_ECDSA_256,
    ],
    "bcp195-nd": [ECDHE_RSA_128, DHE_RSA_128, ECDHE_RSA_256, DHE_RSA_256],
    "bcp195": [
        ECDHE_RSA_128, DHE_RSA_128, ECDHE_RSA_256, DHE_RSA_256,
        "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    ],
    "bcp195-ex": [ECDHE_RSA_128, DHE_RSA_128, ECDHE_RSA_256, DHE_RSA_256, ECDHE_ECDSA_256, ECDHE_ECDSA_128],
    "basic": ["TLS_RSA_WITH_3DES_EDE_CBC_SHA"],
    "aes": ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"],
    "null": ["TLS_RSA_WITH_NULL_SHA"],
}  # fmt: skip
"""The cipher suites of each profile, in order: DcmTLSCiphersuiteHandler::setTLSProfile of DCMTK 3.7.0, without
Camellia in GCM, which no OpenSSL has."""
OF_TLS_1_3 = {"8996", "8996-mod", "bcp195-nd", "bcp195"}
"""The profiles with TLS 1.3 (the same place)."""
OF_TLS_1_2 = OF_TLS_1_3 - {"bcp195"} | {"bcp195-ex"}
"""The profiles without TLS 1.1 and older: RFC 8996, and PS3.15 B.10 and B.11."""


def test_the_profiles_are_those_of_the_standard_and_of_dcmtk():
    assert {name: list(profile.cipher_suites) for name, profile in PROFILES.items()} == DCMTK_3_7_0
    assert {name for name, profile in PROFILES.items() if profile.versions[0] == "1.2"} == OF_TLS_1_2
    assert {name for name, profile in PROFILES.items() if profile.versions[1] == "1.3"} == OF_TLS_1_3
    assert {name: profile.clause.partition(",")[0] for name, profile in PROFILES.items()} == {
        "basic": "PS3.15 B.1", "aes": "PS3.15 B.3", "bcp195": "PS3.15 B.9", "bcp195-nd": "PS3.15 B.10",
        "bcp195-ex": "PS3.15 B.11", "8996": "PS3.15 B.12", "8996-mod": "PS3.15 B.13", "null": "IHE ATNA",
    }  # fmt: skip


def cipher_suites_of(client_hello):
    """The cipher suites in a ClientHello, in its order, by OpenSSL's names (RFC 8446 4.1.2)."""
    session = 5 + 4 + 2 + 32
    begin = session + 1 + client_hello[session]
    length = int.from_bytes(client_hello[begin : begin + 2], "big")
    codes = client_hello[begin + 2 : begin + 2 + length]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    names = {cipher["id"] & 0xFFFF: cipher["name"] for cipher in context.get_ciphers()}
    numbers = [int.from_bytes(codes[at : at + 2], "big") for at in range(0, length, 2)]
    return [names[number] for number in numbers if number in names]  # without the one that means "no renegotiation"


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - {"basic"}))
async def test_the_client_hello_lists_the_profile_in_order(made, profile):
    hellos = []

    async def hear(reader, writer):
        hellos.append(await reader.read(4096))
        writer.close()

    async with listening(hear) as port:
        await refusal(port, made.requestor(profile=profile))
    available = available_cipher_suites()
    expected = [CIPHER_SUITES[name] for name in DCMTK_3_7_0[profile] if name in available]
    proposed = cipher_suites_of(hellos[0])
    assert [name for name in proposed if not name.startswith("TLS_")] == expected
    assert any(name.startswith("TLS_") for name in proposed) == (profile in OF_TLS_1_3)


def test_every_cipher_suite_of_a_profile_is_known():
    for profile in PROFILES.values():
        assert set(profile.cipher_suites) <= set(CIPHER_SUITES)
        assert len(set(profile.cipher_suites)) == len(profile.cipher_suites)
