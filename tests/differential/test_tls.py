"""TLS: with the same options storescu and asyncstore come to terms with storescp, or do not."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from support.differential.programs import INPUTS, asyncstore, storescu
from support.peers.certificates import Authority
from support.peers.dcmtk import running_storescp

pytestmark = pytest.mark.peers

SECRET = "it's secret"  # noqa: S105 - a test's


_SCP = "+tls {server.key} {server.certificate} +cf {trusted}"


class Case(NamedTuple):
    """Options of the requestor and of storescp, and whether they go together; files of the test in braces."""

    words: str
    scp: str = _SCP
    succeeds: bool = True


_ANONYMOUS = "+tls {server.key} {server.certificate} -ic"
_OURS = "+tls {ours.key} {ours.certificate}"

CASES = {
    "--disable-tls": [Case("-tls", scp=""), Case("-tls", succeeds=False)],
    "--enable-tls": [Case(f"{_OURS} +cf {{trusted}}"), Case(f"{_OURS} +cf {{trusted}}", scp="", succeeds=False)],
    "--anonymous-tls": [
        Case("+tla +cf {trusted}", scp=_ANONYMOUS),
        Case("+tla +cf {trusted}", succeeds=False),
    ],
    "--std-passwd": [],  # it asks at a terminal
    "--use-passwd": [
        Case("+tls {locked.key} {locked.certificate} +pw {secret} +cf {trusted}"),
        Case("+tls {locked.key} {locked.certificate} +pw wrong +cf {trusted}", succeeds=False),
    ],
    "--null-passwd": [
        Case(f"{_OURS} -pw +cf {{trusted}}"),
        Case("+tls {locked.key} {locked.certificate} -pw +cf {trusted}", succeeds=False),
    ],
    "--pem-keys": [Case(f"{_OURS} -pem +cf {{trusted}}")],
    "--der-keys": [
        Case("+tls {binary.key} {binary.certificate} -der +cf {trusted_der}"),
        Case(f"{_OURS} -der +cf {{trusted_der}}", succeeds=False),
    ],
    "--add-cert-file": [
        Case(f"{_OURS} +cf {{other}} +cf {{trusted}}"),
        Case(f"{_OURS} +cf {{other}}", succeeds=False),
        Case(f"{_OURS} +cf {{missing}}", succeeds=False),
    ],
    "--add-cert-dir": [Case(f"{_OURS} +cd {{hashed}}")],
    "--add-crl-file": [
        Case(f"{_OURS} +cf {{trusted}} +crl {{revoked}}", succeeds=False),
        Case(f"{_OURS} +cf {{trusted}} +crl {{nothing_revoked}}"),
    ],
    "--enable-crl-vfy": [Case(f"{_OURS} +cf {{trusted}} +crl {{revoked}} +crv", succeeds=False)],
    "--enable-crl-all": [Case(f"{_OURS} +cf {{trusted}} +crl {{revoked}} +cra", succeeds=False)],
    **{
        f"--profile-{name}": [Case(f"{_OURS} +cf {{trusted}} --profile-{name}", f"{_SCP} --profile-{name}")]
        for name in ("bcp195-nd", "bcp195", "bcp195-ex", "aes", "null")
    },
    "--list-ciphers": [],  # it prints and ends: tests/test_tls_peers.py
    "--cipher": [Case(f"{_OURS} +cf {{trusted}} +cs TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")],
    "--seed": [Case(f"{_OURS} +cf {{trusted}} +rs {{seed}}")],
    "--write-seed": [Case(f"{_OURS} +cf {{trusted}} +rs {{seed}} +ws")],
    "--write-seed-file": [Case(f"{_OURS} +cf {{trusted}} +rs {{seed}} +wf {{new_seed}}")],
    "--require-peer-cert": [
        Case(f"{_OURS} +cf {{trusted}} -rc"),
        Case(f"{_OURS} +cf {{other}} -rc", succeeds=False),
    ],
    "--ignore-peer-cert": [Case(f"{_OURS} +cf {{other}} -ic"), Case("+tla -ic", scp=_ANONYMOUS)],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority.make()
    server, ours = authority.certify("127.0.0.1", rsa_bits=2048), authority.certify(rsa_bits=2048)
    (folder / "seed").write_bytes(bytes(range(256)) * 8)
    return SimpleNamespace(
        authority=authority,
        folder=folder,
        trusted=authority.write(folder),
        trusted_der=authority.write(folder, "authority-der", encoding=Encoding.DER),
        other=Authority.make("another authority").write(folder, "another"),
        hashed=_hashed(folder / "hashed", authority),
        server=server.write(folder, "server"),
        ours=ours.write(folder, "ours"),
        binary=ours.write(folder, "binary", encoding=Encoding.DER, key_format=PrivateFormat.TraditionalOpenSSL),
        locked=ours.write(folder, "locked", password=SECRET),
        revoked=authority.revoke(folder, server),
        nothing_revoked=authority.revoke(folder, name="nothing"),
        secret=SECRET.replace(" ", "\0"),
        missing=folder / "missing",
        seed=folder / "seed",
        new_seed=folder / "new-seed",
    )


def _hashed(folder, authority):
    """A folder whose certificates DCMTK finds by the hash of their subject, as c_rehash names them."""
    written = authority.write(folder)
    told = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", written], capture_output=True, check=True)
    (folder / f"{told.stdout.decode().strip()}.0").symlink_to(written)
    return folder


@pytest.fixture(scope="module")
def portal():
    with start_blocking_portal() as one:
        yield one


def _words(text, made):
    return [word.replace("\0", " ") for word in text.format_map(vars(made)).split()]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.words) for cases in CASES.values() for case in cases])
def test_both_come_to_terms_or_do_not(portal, made, archive, tmp_path, case):
    words = [*_words(case.words, made), "-x=", INPUTS, *archive.explicit.values()]
    stored = []
    for program in (storescu, asyncstore):
        folder = tmp_path / program.__name__
        running = running_storescp(folder, *_words(case.scp, made))
        with portal.wrap_async_context_manager(running) as scp:
            said = program(*words, port=scp.port)
            stored.append(scp.stored().keys())
        assert said.succeeded == case.succeeds, said.output
        assert bool(stored[-1]) == case.succeeds
    assert stored[0] == stored[1]


def test_only_asyncstore_looks_at_the_certificates_host_name(portal, made, archive, tmp_path):
    """The difference "the certificate's host name"."""
    server = made.authority.certify("other.example.org", rsa_bits=2048).write(made.folder, "other-host")
    options = ["+tls", *made.server._replace(key=server.key, certificate=server.certificate), "-ic"]
    words = ["+tla", "+cf", made.trusted, "-x=", INPUTS, archive.path("ct")]
    with portal.wrap_async_context_manager(running_storescp(tmp_path, *options)) as scp:
        assert storescu(*words, port=scp.port).succeeded
        said = asyncstore(*words, port=scp.port)
        assert not said.succeeded
        assert "127.0.0.1" in said.output
        assert asyncstore("--no-verify-hostname", *words, port=scp.port).succeeded
