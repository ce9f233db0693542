"""The commands: which options each of them has, in the groups and the order of its help.

``send`` has storescu's rows in the manual's groups and order, and then its own group.
"""

from __future__ import annotations

from asyncstore.cli.kinds import AETitle, Flag, Integer, Seconds, Status, Text
from asyncstore.cli.options import (
    ABORT,
    ACSE_TIMEOUT,
    ARGUMENTS,
    ASK_PASSWORD,
    ASSOCIATIONS,
    ASYNC_OPS,
    CALLED_AE_TITLE,
    CALLING_AE_TITLE,
    COMBINE,
    COMPRESSION_LEVEL,
    CONFIG_FILE,
    DEBUG,
    DIMSE_TIMEOUT,
    DISABLE_NEW_VR,
    DRY_RUN,
    EMPTY_PASSWORD,
    ENABLE_NEW_VR,
    FILES_FROM,
    HELP,
    INPUTS,
    INVENT_INSTANCE,
    INVENT_PATIENT,
    INVENT_SERIES,
    INVENT_STUDY,
    IP_AUTO,
    IPV4,
    IPV6,
    JSON,
    JWT,
    KERBEROS,
    LOG_CONFIG,
    LOG_LEVEL,
    MAX_PDU,
    MAX_SEND_PDU,
    NO_HALT,
    NO_RECURSE,
    NO_RENAME,
    NULL,
    PASSWORD,
    PEER,
    PORT,
    POSITIVE_RESPONSE,
    PROGRESS,
    PROPOSE,
    QUIET,
    READ_DATASET,
    READ_FILE,
    READ_FILE_ONLY,
    RECURSE,
    RENAME,
    REPEAT,
    REQUIRED,
    SAML,
    SCAN_DIRECTORIES,
    SCAN_PATTERN,
    SOCKET_TIMEOUT,
    TIMEOUT,
    UID_PADDING,
    USER,
    VERBOSE,
    VERBOSE_PC,
    VERSION,
    WORKERS,
)
from asyncstore.cli.table import Command, Group, Option
from asyncstore.cli.tls_options import ACCEPTOR_TLS_GROUPS, TLS_GROUPS

# Options of the other commands ---------------------------------------------------------------------------------------

COUNT = Option[int]("--count", Integer("N", 0), 4, "how many echoes to ask for; 0: until interrupted")
INTERVAL = Option[float]("--interval", Seconds(), 1.0, "time from one echo to the next")
SINK_PORT = Option[int]("--port", Integer("PORT", 0, 65535), 11112, "TCP port to listen on; 0: any that is free")
SINK_HOST = Option[str](
    "--host",
    Text("ADDRESS"),
    "127.0.0.1",
    "address to listen on; 0.0.0.0: all",
    shown_default="127.0.0.1, or ::1 with --ipv6",
)
SINK_AE_TITLE = Option[str | None](
    "--aet", AETitle(), None, "accept only associations that call this AE title", shown_default="any"
)
OUTPUT = Option[str | None](
    "--output", Text("DIRECTORY"), None, "keep what arrives in this directory", shown_default="discard it"
)
LATENCY = Option[float](
    "--latency", Seconds(), 0.0, "wait this long before each response, as a slow archive would; 0.005: 5 ms"
)
STATUS = Option[int](
    "--status",
    Status(
        {
            "success": 0x0000,
            "processing-failure": 0x0110,
            "duplicate": 0x0111,
            "not-authorized": 0x0124,
            "out-of-resources": 0xA700,
            "data-set-mismatch": 0xA900,
            "coercion": 0xB000,
            "cannot-understand": 0xC000,
        }
    ),
    0x0000,
    "status of every response: 0xNNNN, or a name like out-of-resources",
    shown_default="success",
)
SINK_MAX_PDU = Option[int](
    "--max-pdu", Integer("BYTES", 4096, 131072), 131072, "largest PDU to receive, 4096..131072", "-pdu"
)
MAX_ASSOCIATIONS = Option[int | None](
    "--max-associations",
    Integer("N", 1),
    None,
    "reject associations beyond this number with 'local limit exceeded'",
    shown_default="unlimited",
)
SINK_ASYNC_OPS = Option[int](
    "--async-ops",
    Integer("N", 0, 65535),
    0,
    "asynchronous operations window to grant to those who propose one; 0: what they propose",
)
KEEP = Option[bool]("--keep", Flag(), False, "keep the folder with the archive and what arrived")

# Commands ------------------------------------------------------------------------------------------------------------

_GENERAL = "general options"
_NETWORK = "network options"
_ENVIRONMENT = (
    "Every option also reads ASYNCSTORE_<LONG_NAME> from the environment, as in ASYNCSTORE_LOG_LEVEL=debug; "
    "flags take 1 or 0. The command line wins."
)

SEND = Command(
    "send",
    "send DICOM files and directories to a storage SCP; takes storescu's command lines",
    (PEER, PORT, INPUTS),
    (
        Group(_GENERAL, (HELP, VERSION, ARGUMENTS, QUIET, VERBOSE, DEBUG, LOG_LEVEL, LOG_CONFIG, VERBOSE_PC)),
        Group("input options", (READ_FILE, READ_FILE_ONLY, READ_DATASET), "input file format"),
        Group(
            "input options",
            (SCAN_DIRECTORIES, SCAN_PATTERN, NO_RECURSE, RECURSE, NO_RENAME, RENAME),
            "input files",
        ),
        Group(_NETWORK, (IPV4, IPV6, IP_AUTO), "internet protocol version"),
        Group(_NETWORK, (CALLING_AE_TITLE, CALLED_AE_TITLE), "application entity titles"),
        Group(_NETWORK, (CONFIG_FILE,), "association negotiation profile from a configuration file"),
        Group(
            _NETWORK,
            (*PROPOSE.values(), REQUIRED, COMBINE),
            "proposed transmission transfer syntaxes (not with --config-file; default: what each file needs)",
        ),
        Group(_NETWORK, (ENABLE_NEW_VR, DISABLE_NEW_VR), "post-1993 value representations"),
        Group(
            _NETWORK, (COMPRESSION_LEVEL,), "deflate compression level (only with --propose-deflated or --config-file)"
        ),
        Group(
            _NETWORK,
            (USER, PASSWORD, EMPTY_PASSWORD, KERBEROS, SAML, JWT, POSITIVE_RESPONSE),
            "user identity negotiation",
        ),
        Group(
            _NETWORK,
            (
                TIMEOUT,
                SOCKET_TIMEOUT,
                ACSE_TIMEOUT,
                DIMSE_TIMEOUT,
                MAX_PDU,
                MAX_SEND_PDU,
                REPEAT,
                ABORT,
                NO_HALT,
                UID_PADDING,
                INVENT_INSTANCE,
                INVENT_SERIES,
                INVENT_STUDY,
                INVENT_PATIENT,
            ),
            "other network options",
        ),
        *TLS_GROUPS,
        Group(
            "options that storescu does not have",
            (ASSOCIATIONS, WORKERS, ASYNC_OPS, ASK_PASSWORD, FILES_FROM, NULL, PROGRESS, JSON, DRY_RUN),
        ),
    ),
    (
        "A directory is sent with all that lies below it. Any word @FILE is replaced by the words in that file.",
        _ENVIRONMENT,
        "Exit code: 0 every file stored, 1 nothing could be attempted, 2 some file not stored, 130 interrupted.",
    ),
)

ECHO = Command(
    "echo",
    "ask a peer with C-ECHO whether it is there and how fast it answers",
    (PEER, PORT),
    (
        Group(_GENERAL, (HELP, QUIET, VERBOSE, DEBUG, LOG_LEVEL)),
        Group(
            _NETWORK,
            (
                IPV4,
                IPV6,
                IP_AUTO,
                CALLING_AE_TITLE,
                CALLED_AE_TITLE,
                TIMEOUT,
                SOCKET_TIMEOUT,
                ACSE_TIMEOUT,
                DIMSE_TIMEOUT,
            ),
        ),
        Group("echo options", (COUNT, INTERVAL)),
        *TLS_GROUPS,
    ),
    (_ENVIRONMENT, "Exit code: 0 every echo was answered with success, 1 otherwise."),
)

SINK = Command(
    "sink",
    "be a storage SCP that discards or keeps what it receives, to try things out",
    (),
    (
        Group(_GENERAL, (HELP, QUIET, VERBOSE, DEBUG, LOG_LEVEL)),
        Group(
            _NETWORK,
            (
                IPV4,
                IPV6,
                IP_AUTO,
                SINK_HOST,
                SINK_PORT,
                SINK_AE_TITLE,
                SINK_MAX_PDU,
                MAX_ASSOCIATIONS,
                SINK_ASYNC_OPS,
            ),
        ),
        Group("behaviour", (OUTPUT, LATENCY, STATUS)),
        *ACCEPTOR_TLS_GROUPS,
    ),
    ("It runs until interrupted (Ctrl-C).", _ENVIRONMENT),
)

DEMO = Command(
    "demo",
    "send a synthetic archive to a sink on this machine and check what arrived",
    (),
    (Group("options", (HELP, ASSOCIATIONS, PROGRESS, KEEP)),),
    (_ENVIRONMENT,),
)

COMMANDS = {command.name: command for command in (SEND, ECHO, SINK, DEMO)}
