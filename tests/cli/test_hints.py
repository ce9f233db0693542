"""What the command line says to do about an error."""

import errno

import pytest

from asyncstore.cli.text.hints import hint_of, hints_for
from asyncstore.errors import (
    AssociationAborted,
    AssociationRejected,
    CannotListen,
    ConnectFailed,
    Difference,
    EchoRefused,
    IdentityNotConfirmed,
    JournalNotWritable,
    LinkLost,
    NoCommonTls,
    NotAJournal,
    NoTemporaryFolder,
    NoThread,
    OtherMigration,
    OurCertificateRefused,
    PeerCertificateRefused,
    ProtocolViolation,
    ReadFailed,
    TimedOut,
    TlsFailed,
    TlsSettingRefused,
    UsageError,
)

PEER = "peer:104"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AssociationRejected(PEER, 1, 1, 3), "-aet"),
        (AssociationRejected(PEER, 1, 1, 7), "-aec"),
        (AssociationRejected(PEER, 1, 3, 1), "Try again later."),
        (AssociationRejected(PEER, 2, 3, 2), "raise the peer's limit. send --wait-for-peer"),
        (AssociationAborted(PEER, 2, 0), "what its log says"),
        (ConnectFailed(PEER, "refused"), "firewall"),
        (ConnectFailed(PEER, "refused", ip_version=6), "-i6 keeps to IPv6: -i0"),
        (ConnectFailed(PEER, "unknown", "name unknown", 4), "is written, or give its IP address. -i4"),
        (ConnectFailed(PEER, "later", "name not resolved now"), "name server"),
        (TimedOut(PEER, "response", 5, "acse"), "more time with -ta."),
        (TimedOut(PEER, "response", 5, "dimse"), "more time with -td."),
        (TimedOut(PEER, "response", 5, "acse", may_be_wrong_port=True), "-ta. Perhaps it speaks TLS on this port"),
        (TimedOut(PEER, "handshake", 5, "acse", may_be_plain=True), "-ta. Perhaps it speaks no TLS on this port"),
        (LinkLost(PEER, "reset", may_be_wrong_port=True), "+tls, +tla"),
        (ProtocolViolation(PEER, "odd", speaks_dicom=True), "-d shows"),
        (ProtocolViolation(PEER, "odd", speaks="TLS"), "+tla"),
        (ProtocolViolation(PEER, "odd", speaks="HTTP"), "web server"),
        (EchoRefused(PEER, "no"), "scan --peer-check"),
        (IdentityNotConfirmed(PEER), "-rsp"),
        (PeerCertificateRefused(PEER, "unknown", "untrusted", 20), "+cf"),
        (PeerCertificateRefused(PEER, "other", "wrong host", 62), "--no-verify-hostname"),
        (PeerCertificateRefused(PEER, "revoked", "revoked", 23), "Its owner has to get a new one"),
        (PeerCertificateRefused(PEER, "list", "no revocation list", 3), "+crl"),
        (OurCertificateRefused(PEER, "none", "no certificate of ours"), "+tls KEY CERTIFICATE"),
        (NoCommonTls(PEER, "version", "no common version"), "+px"),
        (NoCommonTls(PEER, "suite", "no common cipher suite"), "(+pg). +cs"),
        (TlsFailed(PEER, "name", "server name"), "--no-sni"),
        (TlsSettingRefused("trusted", "file", "no certificate"), "--add-cert-file"),
        (TlsSettingRefused("key", "file", "wrong", "wrong password"), "ASYNCSTORE_USE_PASSWD"),
        (TlsSettingRefused("trusted", "file", "DER", "is DER"), "--der-keys"),
        (TlsSettingRefused("cipher_suites", "X", "no", "wrong profile", "bcp195"), "--profile-bcp195"),
        (CannotListen(PEER, "in use", errno.EADDRINUSE), "0 takes a free one"),
        (CannotListen(PEER, "no host name"), "--host"),
        (NoTemporaryFolder("read-only"), "TMPDIR"),
        (NoThread(), "fewer --associations"),
        (JournalNotWritable("/no/such/run.db", "No such file or directory"), "There is no folder /no/such: make it"),
        (JournalNotWritable("/run.db", "Permission denied"), "Let this user write to it"),
        (JournalNotWritable("run.db", "Permission denied"), "Let this user write to it"),
        (NotAJournal("/run.db", "it is not a database"), "send --journal and scan --journal make one"),
        (OtherMigration("/run.db", (Difference("port", "104", "105"),)), "address or AE title now, add --peer-moved"),
        (OtherMigration("/run.db", (Difference("--repair", None, "True"),)), "asyncstore resume /run.db repeats"),
        (OtherMigration("/run.db", (Difference("--map", "one", "other"),)), "Put the recorded one back"),
    ],
    ids=str,
)
def test_an_error_leads_to_the_option_that_helps(error, words):
    assert words in hint_of(error)


@pytest.mark.parametrize(
    "error", [LinkLost(PEER, "reset"), TimedOut(PEER, "end", 10), UsageError("no"), AssociationRejected(PEER, 1, 2, 2)]
)
def test_where_nothing_general_can_be_said_there_is_no_hint(error):
    assert hint_of(error) is None


def test_an_error_of_the_command_line_itself_brings_its_hint():
    error = ReadFailed("cannot access 'x'")
    error.add_note("Name another file.")
    assert hint_of(error) == "Name another file."


def test_each_kind_of_reason_is_told_once_what_helps():
    reasons = ["its data set inflates to more than the … bytes that are allowed", "not a DICOM file"] * 2
    assert list(hints_for(reasons)) == ["--max-inflated allows larger data sets."]
    assert list(hints_for(["not a DICOM file"])) == []
    [advice] = hints_for(["no presentation context accepted for CTImageStorage in JPEG2000"])
    assert "administrator" in advice
