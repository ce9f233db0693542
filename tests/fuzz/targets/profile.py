"""Association configuration files (``-xf``)."""

from pathlib import Path

from asyncstore.errors import UsageError
from asyncstore.negotiation.profile import read_profile

EXPECTED = (UsageError,)
_SMALL = r"""[[TransferSyntaxes]]
[Explicit]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[CTOnly]
PresentationContext1 = CTImageStorage\Explicit
[[SCPSCURoleSelection]]
[CTRole]
Role1 = CTImageStorage\BOTH
[[ExtendedNegotiation]]
[CTMore]
ExtendedNegotiation1 = CTImageStorage\0201
[[Profiles]]
[Default]
PresentationContexts = CTOnly
SCPSCURoleSelection = CTRole
ExtendedNegotiation = CTMore
"""


def seeds():
    """A small file, and the one that DCMTK installs."""
    yield _SMALL.encode()
    yield _SMALL.upper().replace("\n", "\r\n ").encode()
    installed = Path("/etc/dcmtk/storescu.cfg")
    if installed.exists():
        yield installed.read_bytes()[:8192]


def execute(data, _):
    """The proposal's texts and remarks can be shown."""
    found = read_profile(data.decode(errors="replace"), "a.cfg", "default")
    assert all(context.abstract_syntax.isascii() for context in found.proposed)
