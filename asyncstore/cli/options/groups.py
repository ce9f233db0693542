"""Groups of options and notes that several commands share: written once, so that the manual describes them once."""

from __future__ import annotations

from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.table import Group

GENERAL = "general options"
NETWORK = "network options"
OTHER_NETWORK = "other network options"

ENVIRONMENT = (
    "Options can also be given in the environment, as ASYNCSTORE_<LONG_NAME>: ASYNCSTORE_LOG_LEVEL=debug (not --peer, "
    "--arguments and options that only print something). Flags take 1, true, yes or on, and 0, false, no or off; an "
    "empty variable is ignored. --config FILE reads options from a TOML file: long names without the hyphens, numbers "
    "as they are and texts in quotes, as in max-pdu = 32768, "
    'no-halt = true or call = "PACS". The command line wins, then the environment.'
)
END_OF_OPTIONS = (
    "All words after -- are parameters, even if they begin with -, + or @. In a folder that somebody else filled, "
    "write -- before a pattern like *, which may find a file named -lc or @words. Files that options name are trusted: "
    "they can change what is done."
)
PEERS = (
    "--peer NAME takes host, port and options from the table [peers.NAME] of that file; without --config, of "
    "~/.config/asyncstore/config.toml."
)

LOGGING = (opt.QUIET, opt.VERBOSE, opt.DEBUG, opt.LOG_LEVEL, opt.LOG_CONFIG)
TIMEOUTS = (opt.TIMEOUT, opt.SOCKET_TIMEOUT, opt.ACSE_TIMEOUT, opt.DIMSE_TIMEOUT)

IP_VERSION = Group(NETWORK, (opt.IPV4, opt.IPV6, opt.IP_AUTO), "internet protocol version")
TITLES = Group(NETWORK, (opt.CALLING_AE_TITLE, opt.CALLED_AE_TITLE), "application entity titles")
IDENTITY = Group(
    NETWORK,
    (
        opt.USER,
        opt.PASSWORD,
        opt.EMPTY_PASSWORD,
        opt.ASK_PASSWORD,
        opt.KERBEROS,
        opt.SAML,
        opt.JWT,
        opt.POSITIVE_RESPONSE,
    ),
    "user identity negotiation",
)
