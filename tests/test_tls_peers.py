"""TLS with the SCPs and SCUs that are out there, and on the command line, as storescu's users have it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from asyncstore import Result, Sink, TlsOptions
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.text.hints import hint_of
from asyncstore.cli.tls import tls_of
from asyncstore.errors import NotTls, OurCertificateRefused, PeerCertificateRefused, TlsInterrupted
from support.commands import asyncstore, finished, running_sink, started
from support.oracle import assert_true, nothing_left_behind, send
from support.peers.certificates import LAST_YEAR, Authority
from support.peers.dcmtk import echoscu, running_storescp, storescu
from support.peers.orthanc import running_orthanc
from support.trees import data_sets, instances

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An authority, and what it certified: DCMTK's older profiles know RSA keys only."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority.make()
    server, ours = authority.certify("localhost", "127.0.0.1", rsa_bits=2048), authority.certify(rsa_bits=2048)
    secret = "it's a secret"  # noqa: S105 - a test's
    return SimpleNamespace(
        folder=folder,
        authority=authority,
        trusted=authority.write(folder),
        server=server.write(folder, "server"),
        ours=ours.write(folder, "ours"),
        secret=secret,
        locked=ours.write(folder, "locked", password=secret),
        revoked=authority.revoke(folder, server),
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return instances(tmp_path_factory.mktemp("sent") / "files", 10, data_set_bytes=400_000)


def requestor(made, **options):
    key, certificate = made.ours
    return TlsOptions(key, certificate, trusted=(made.trusted,))._replace(**options)


def acceptor(made):
    return TlsOptions(*made.server, trusted=(made.trusted,))


# storescp and Orthanc -------------------------------------------------------------------------------------------------

PROFILES_OF_STORESCP = ["bcp195", "bcp195-nd", "bcp195-ex", "aes", "null"]


@pytest.mark.peers
@pytest.mark.parametrize("associations", [1, 4])
async def test_storescp_has_it_byte_for_byte(made, files, tmp_path, associations):
    options = ["+tls", *made.server, "+cf", made.trusted]
    async with running_storescp(tmp_path, *options) as scp, nothing_left_behind():
        ran = await send(scp.port, files, tls=requestor(made), associations=associations)
        assert ran.results == {Result.STORED: len(files)}
        assert_true(ran, files, scp.stored())


@pytest.mark.peers
@pytest.mark.parametrize("profile", PROFILES_OF_STORESCP)
async def test_storescp_of_every_profile_takes_ours_of_the_same(made, files, tmp_path, profile):
    options = ["+tls", *made.server, "+cf", made.trusted, f"--profile-{profile}"]
    async with running_storescp(tmp_path, *options) as scp:
        ran = await send(scp.port, files[:2], tls=requestor(made, profile=profile))
        assert ran.results == {Result.STORED: 2}
        assert_true(ran, files[:2], scp.stored())


@pytest.mark.peers
async def test_storescp_that_wants_a_certificate_of_ours_is_understood_every_time(made, files, tmp_path):
    """It resets the connection right after its alert."""
    async with running_storescp(tmp_path, "+tls", *made.server, "+cf", made.trusted) as scp:
        for _ in range(10):
            ran = await send(scp.port, files[:1], tls=TlsOptions(trusted=(made.trusted,)), associations=1)
            assert isinstance(ran.failure, OurCertificateRefused)
            assert ran.failure.cause == "the peer wants a certificate of ours"
            assert ran.results == {Result.NOT_SENT: 1}


@pytest.mark.peers
async def test_storescp_without_tls_is_told_from_one_that_refuses(made, files, tmp_path):
    async with running_storescp(tmp_path) as scp:
        ran = await send(scp.port, files[:1], tls=requestor(made), associations=1)
        assert isinstance(ran.failure, NotTls | TlsInterrupted)
        assert "TLS" in hint_of(ran.failure)


@pytest.mark.peers
async def test_storescp_with_the_certificate_of_another_authority_is_refused(made, files, tmp_path):
    strange = Authority.make("another").certify("127.0.0.1", rsa_bits=2048).write(made.folder, "strange")
    async with running_storescp(tmp_path, "+tls", *strange, "+cf", made.trusted) as scp:
        ran = await send(scp.port, files[:1], tls=requestor(made))
        assert isinstance(ran.failure, PeerCertificateRefused)
        assert scp.stored() == {}


@pytest.mark.peers
async def test_orthanc_has_it_all(made, files, tmp_path):
    configuration = {
        "DicomTlsEnabled": True,
        "DicomTlsPrivateKey": made.server.key,
        "DicomTlsCertificate": made.server.certificate,
        "DicomTlsTrustedCertificates": made.trusted,
        "DicomTlsRemoteCertificateRequired": True,
    }
    async with running_orthanc(tmp_path, **configuration) as orthanc, nothing_left_behind():
        ran = await send(orthanc.port, files, tls=requestor(made), associations=2)
        assert ran.results == {Result.STORED: len(files)}
        assert_true(ran, files, await orthanc.sop_instance_uids())
        refused = await send(orthanc.port, files[:1], tls=TlsOptions(trusted=(made.trusted,)), associations=1)
        assert isinstance(refused.failure, OurCertificateRefused)


# storescu and echoscu to our sink -------------------------------------------------------------------------------------


@pytest.mark.peers
async def test_storescu_stores_over_tls(made, files, tmp_path):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path, tls=acceptor(made)) as sink:
        shown = ["+tls", *made.ours, "+cf", made.trusted]
        assert (await storescu(sink.port, files, *shown)).returncode == 0
        assert data_sets(tmp_path) == data_sets(files[0].parent)
        assert (await echoscu(sink.port, *shown)).returncode == 0
        assert (await echoscu(sink.port, "+tla", "+cf", made.trusted)).returncode != 0
        assert (await echoscu(sink.port)).returncode != 0
        assert sink.tally.echoes == 1


# The command line -----------------------------------------------------------------------------------------------------


async def test_send_echo_and_sink_take_storescus_options(made, files, tmp_path):
    shown = ["+tls", *made.ours, "+cf", made.trusted, "-rc"]
    async with running_sink("--output", tmp_path, "+tls", *made.server, "+cf", made.trusted) as sink:
        port = str(sink.port)
        assert (await asyncstore("echo", *shown, "--count", "1", "-i4", "localhost", port)).returncode == 0
        sent = await asyncstore("send", *shown, "-i4", "--no-sni", "localhost", port, files[0].parent)
        assert sent.returncode == 0, sent.err
        assert data_sets(tmp_path) == data_sets(files[0].parent)
        refused = await asyncstore("send", "+tla", "+cf", made.trusted, "127.0.0.1", port, *files)
        assert refused.returncode == 1
        assert f"127.0.0.1:{port}: TLS: the peer wants a certificate of ours" in refused.err
        assert "Give our private key and certificate with +tls" in refused.err
        assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("valid", "names", "options", "message"),
    [
        (None, ["localhost"], ["+crl", "REVOKED"], None),
        (LAST_YEAR, ["localhost"], [], "the peer's certificate has expired"),
        (LAST_YEAR, ["localhost"], ["-ic"], None),
        (None, ["other.example.org"], [], "made for another host name, not for 'localhost'"),
        (None, ["other.example.org"], ["--no-verify-hostname"], None),
        (None, ["other.example.org"], ["--request-sni", "other.example.org"], "not for 'localhost'"),
        (None, ["localhost"], ["--request-sni", "other.example.org"], None),
    ],
)
async def test_each_kind_of_certificate_on_the_command_line(made, valid, names, options, message):
    period = {} if valid is None else {"valid": valid}
    server = made.authority.certify(*names, **period).write(made.folder, "shown")
    words = [made.revoked if word == "REVOKED" else word for word in options]
    async with running_sink("+tls", *server, "-ic") as sink:
        ended = await asyncstore(
            "echo", "+tla", "+cf", made.trusted, *words, "--count", "1", "-i4", "localhost", str(sink.port)
        )
    assert ended.returncode == (0 if message is None else 1), ended.err
    assert message is None or message in ended.err


async def test_the_private_keys_password_comes_from_an_option_or_the_environment(made):
    async with running_sink("+tls", *made.server, "+cf", made.trusted) as sink:
        words = ["echo", "+tls", *made.locked, "+cf", made.trusted, "--count", "1", "127.0.0.1", str(sink.port)]
        assert (await asyncstore(*words, "+pw", made.secret)).returncode == 0
        given = {"ASYNCSTORE_USE_PASSWD": made.secret}
        assert (await asyncstore(*words, environment=given)).returncode == 0
        for wrong in (["+pw", "something else"], ["-pw"]):
            ended = await asyncstore(*words, *wrong)
            assert ended.returncode == 1
            assert f"private key {made.locked.key}: the password is wrong" in ended.err
            assert "ASYNCSTORE_USE_PASSWD gives another password" in ended.err


@pytest.mark.parametrize(
    ("options", "piped", "message"),
    [
        ([], "SECRET\nand more", None),
        (["+ps"], "SECRET", None),
        (["+ps"], "SECRET\r\n", None),
        ([], "wrong\nSECRET\n", "the password is wrong"),
        ([], "\n", "the password is wrong"),
        ([], "", "there is no terminal to ask for it at, and standard input does not hold it: give it in ASYNCSTORE_"),
    ],
)
async def test_without_a_terminal_it_is_the_first_line_of_standard_input(made, options, piped, message):
    """As with storescu, but that a wrong one is said to be wrong."""
    async with running_sink("+tls", *made.server, "+cf", made.trusted) as sink:
        words = ["echo", "+tls", *made.locked, *options, "+cf", made.trusted, "--count", "1"]
        process = await started(*words, "127.0.0.1", str(sink.port), start_new_session=True)
        ended = await finished(process, piped.replace("SECRET", made.secret).encode())
    assert ended.returncode == (0 if message is None else 1), ended.err
    assert message is None or message in ended.err
    lines = [line for line in ended.err.splitlines() if not line.endswith("gives another password.")]
    assert len(lines) == (message is not None), "nobody is asked, and there is no second attempt"
    assert made.secret not in ended.err + ended.out


async def test_names_on_standard_input_are_not_taken_for_a_password(made):
    words = ["send", "+tls", *made.locked, "-ic", "--files-from", "-", "127.0.0.1", "104"]
    ended = await finished(await started(*words, start_new_session=True), f"{made.secret}\n".encode())
    assert ended.returncode == 1
    assert "standard input holds the names for --files-from: give it in ASYNCSTORE_USE_PASSWD" in ended.err


async def test_a_key_without_password_leaves_standard_input_alone(made, files):
    async with running_sink("+tls", *made.server, "+cf", made.trusted) as sink:
        words = ["send", "+tls", *made.ours, "+cf", made.trusted, "--files-from", "-", "127.0.0.1", str(sink.port)]
        ended = await finished(await started(*words, start_new_session=True), f"{files[0]}\n".encode())
    assert ended.returncode == 0, ended.err
    assert "Stored 1 file" in ended.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+cf", "file"], "+cf/--add-cert-file is only allowed with --enable-tls or --anonymous-tls"),
        (["+tla", "+pw", "x"], "+pw/--use-passwd is only allowed with --enable-tls"),
        (["+tla", "-tls", "-ic"], "-ic/--ignore-peer-cert is only allowed with"),
        (["+tla", "+ws"], "+ws/--write-seed is only allowed with --seed"),
        (["+tla", "+pz", "+cs", "X"], "--cipher is not allowed with --profile-bcp195-ex"),
        (["--no-sni", "--request-sni", "X"], "is not allowed with --request-sni"),
        (["+tla"], "no certificate is trusted"),
        (["+tla", "-ic", "+cs", "TLS_OF_MINE"], "cipher suite TLS_OF_MINE: there is no cipher suite of that name"),
        (["+tls", "nokey", "nocert", "-ic"], "private key nokey: cannot read it: No such file or directory"),
    ],
)
async def test_options_that_do_not_go_together_or_mean_nothing(words, message):
    ended = await asyncstore("send", *words, "localhost", "104", __file__)
    assert ended.returncode == 1
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("options", "revocation"),
    [([], "none"), (["+crv"], "certificate"), (["+crv", "+cra"], "chain"), (["+cra", "+crv"], "certificate")],
)
def test_the_rightmost_says_what_may_be_revoked(options, revocation):
    """As in storescu from 3.6.8 on (DcmTLSOptions::parseArguments); 3.6.7 refused both together."""
    parsed = parse(SEND, ("+tla", *options, "localhost", "104", "file"), {})
    assert tls_of(parsed).revocation == revocation


async def test_a_revocation_list_alone_is_warned_of_once(made):
    done = await asyncstore("echo", "+tla", "+cf", made.trusted, "+crl", made.revoked, "127.0.0.1", "1")
    assert done.err.count("W: ") == 1
    assert "W: +crl (--add-crl-file) alone looks up the peer's own certificate only" in done.err


async def test_who_accepts_needs_a_certificate():
    ended = await asyncstore("sink", "+cf", "file")
    assert "+cf/--add-cert-file is only allowed with --enable-tls;" in ended.err
    assert "unknown option +tla" in (await asyncstore("sink", "+tla")).err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("+cc", ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]),
        ("+ph", ["--profile-8996: BCP 195 RFC 8996, 9325 TLS Profile (PS3.15 B.12, default)", "--profile-null"]),
    ],
)
async def test_lists_are_printed_whatever_else_is_there(option, words):
    for command in ("send", "echo", "sink"):
        ended = await asyncstore(command, "+cf", "without TLS", option)
        assert (ended.returncode, ended.err) == (0, "")
        assert all(word in ended.out for word in words)


def test_without_tls_nothing_is_loaded_for_it():
    program = "import asyncstore.cli.commands.send, asyncstore.cli.commands.sink, sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ".network.tls" not in ended.stdout
