"""Our requests are compared with the real storescu's: both programs send them to a recorder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.options.rows import CALLED_AE_TITLE, CALLING_AE_TITLE, MAX_PDU, PROPOSE
from asyncstore.cli.proposal import identity_of, proposal_of
from asyncstore.network.opening import AssociationOptions
from asyncstore.protocol.associate import AssociateRequest
from support import trees
from support.commands import asyncstore
from support.peers.dcmtk import storescu
from support.peers.recorder import running_recorder
from support.values import probe_file

pytestmark = pytest.mark.peers

HAS_DEBIANS_FILES = all(Path("/etc/dcmtk", name).exists() for name in ("storescu.cfg", "storescp.cfg"))

CHOICES = [row.short for row in PROPOSE.values() if row.short is not None]
"""The choices of the real storescu; three more are ours."""

EVERYTHING = r"""
[[TransferSyntaxes]]
[Un compressed]
TransferSyntax1 = LocalEndianExplicit
TransferSyntax2 = OppositeEndianExplicit
TransferSyntax3 = =LittleEndianImplicit
[jpeg]
transfersyntax1 = 1.2.840.10008.1.2.4.50
TransferSyntax2 = JPEGLSLossless
TransferSyntax4 = RLELossless
[[PresentationContexts]]
[Some]
PresentationContext2 = MRImageStorage\JPEG
PresentationContext1 = CTImageStorage\uncom pressed
PresentationContext3 = 1.2.3.4.5\Un
 compressed
PresentationContext3 = CTImageStorage\JPEG
PresentationContext4 = VerificationSOPClass\uncompressed
[[SCPSCURoleSelection]]
[Roles]
Role1 = CTImageStorage\both
Role2 = MRImageStorage\SCP
Role3 = 1.2.3.4.5\SCU
[[ExtendedNegotiation]]
[More]
ExtendedNegotiation1 = MRImageStorage\020003000aFF
ExtendedNegotiation2 = CTImageStorage\01
[[Profiles]]
[plain]
PresentationContexts = some
[everything]
PresentationContexts = SOME
SCPSCURoleSelection = roles
ExtendedNegotiation = m o r e
"""


@pytest.fixture(scope="module")
def files():
    """Instances of several SOP classes and transfer syntaxes."""
    names = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm", "rtplan.dcm", "MR_small_RLE.dcm")
    found = [path for path in trees.pydicom_test_files() if path.name in names]
    assert len(found) == len(names)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a configuration file and files to log in with."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "everything.cfg").write_text(EVERYTHING)
    (folder / "ticket").write_bytes(bytes(range(256)) * 200)
    return folder


async def theirs(files, *options):
    """The request of the real storescu."""
    async with running_recorder() as recorder:
        ended = await storescu(recorder.port, files, *options)
        assert recorder.bodies, ended.output
    (body,) = recorder.bodies
    return AssociateRequest.decode(body)


async def ours(files, *options):
    """The request of our command."""
    async with running_recorder() as recorder:
        done = await asyncstore("send", "--associations", "1", *options, "127.0.0.1", str(recorder.port), *files)
        assert done.returncode == 1, done
        assert "rejected permanently" in done.err
    (body,) = recorder.bodies
    return AssociateRequest.decode(body)


def meant(files, *options):
    """The request of our command, without running it."""
    parsed = parse(SEND, (*options, "host", "104", "file"), {})
    proposal = proposal_of(parsed)
    pairs = [(found.sop_class_uid, found.transfer_syntax_uid) for found in map(probe_file, map(str, files))]
    titles = parsed[CALLING_AE_TITLE], parsed[CALLED_AE_TITLE]
    negotiated = {"identity": identity_of(parsed), "roles": proposal.roles, "extended": proposal.extended}
    return AssociationOptions(*titles, parsed[MAX_PDU], **negotiated).request(proposal.contexts(pairs))


def compared(request):
    """The parts that both requests must share: the contexts as a set, and the rest unchanged."""
    contexts = {(context.abstract_syntax, context.transfer_syntaxes) for context in request.contexts}
    assert len({context.id for context in request.contexts}) == len(request.contexts)
    return {
        "contexts": contexts,
        "titles": (request.calling_ae_title, request.called_ae_title),
        "maximum length": request.maximum_length,
        "identity": request.identity and tuple(request.identity),
        "roles": set(request.roles),
        "extended": set(request.extended),
        "window": request.window,
        "application context": request.application_context,
        "protocol version": request.protocol_version,
    }


@pytest.mark.parametrize("choice", CHOICES)
async def test_every_choice_of_transfer_syntaxes_proposes_what_the_real_one_proposes(files, choice):
    layouts = ((), ("+C",), ("-R",), ("-R", "+C"))
    requests = await asyncio.gather(*(theirs(files, choice, *layout) for layout in layouts))
    for layout, request in zip(layouts, requests, strict=True):
        assert compared(meant(files, choice, *layout)) == compared(request), layout


@pytest.mark.parametrize(
    "options",
    [
        ("-R",),
        ("+C",),
        ("-x=", "-xs", "-aet", "OURSELVES", "-aec", "THE PEER"),
        ("-xe", "-pdu", "4096"),
        ("-xe", "-pdu", "131072"),
        ("-xe", "-usr", "jdoe"),
        ("-xe", "-usr", "jdoe", "-rsp"),
        ("-xe", "-usr", "jdöe", "-pwd", "pässword"),
        ("-xe", "-usr", "jdoe", "-epw", "-rsp"),
        ("-xe", "-usr", "jdoe", "-kt", "{folder}/ticket"),
        ("-xe", "--saml", "{folder}/ticket", "-rsp"),
        ("-xe", "--jwt", "{folder}/ticket"),
        ("-xf", "{folder}/everything.cfg", "plain"),
        ("-xf", "{folder}/everything.cfg", "Every Thing"),
        ("-x=", "-xf", "{folder}/everything.cfg", "PLAIN"),
        ("-xf", "/etc/dcmtk/storescu.cfg", "Default"),
        ("-xf", "/etc/dcmtk/storescp.cfg", "Default"),
        ("-xf", "/etc/dcmtk/storescp.cfg", "AllDICOM"),
    ],
    ids=" ".join,
)
async def test_other_options_propose_what_the_real_one_proposes(files, folder, options):
    words = [word.format(folder=folder) for word in options]
    if "/etc/dcmtk" in " ".join(words) and not HAS_DEBIANS_FILES:
        pytest.skip("DCMTK's configuration files are not where Debian installs them")
    assert compared(meant(files, *words)) == compared(await theirs(files, *words))


@pytest.mark.parametrize(
    "options",
    [
        ("-xs",),
        ("-xv", "+C", "-usr", "jdoe", "-pwd", "secret", "-rsp"),
        ("-xd", "-pdu", "32768", "-aet", "OURSELVES", "-aec", "THE PEER"),
        ("-R", "--jwt", "{folder}/ticket"),
        ("-xf", "{folder}/everything.cfg", "everything"),
    ],
    ids=" ".join,
)
async def test_the_whole_command_asks_as_the_real_one_does(files, folder, options):
    words = [word.format(folder=folder) for word in options]
    one_kind = [path for path in files if path.name == "CT_small.dcm"]
    mine, real = await asyncio.gather(ours(one_kind, *words), theirs(one_kind, *words))
    assert compared(mine) == compared(real)
