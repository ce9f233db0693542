"""The options of every command: one row each, in the groups and the order of the help.

``send`` has storescu's rows, with their names, ranges and defaults, in the manual's groups and order, and then its own
group. Rows that mean the same in several commands are the same object. To add an option, write its row, put it into its
group, and read ``parsed[ROW]`` where it matters; nothing else knows the options one by one.
"""

from __future__ import annotations

from typing import Literal

from asyncstore.cli.kinds import AETitle, Choice, Flag, Integer, IntegerOrAuto, Seconds, Status, Text, Words
from asyncstore.cli.table import Command, Group, Option, Parameter

When = Literal["auto", "on", "off"]

_MOST = 1024
"""More associations or processes than this are a slip of the finger."""

# Parameters ----------------------------------------------------------------------------------------------------------

PEER = Parameter[str]("peer", Text("peer"), "", "host name or IP address of the storage SCP")
PORT = Parameter[int]("port", Integer("port", 1, 65535), 0, "its TCP port")
INPUTS = Parameter[tuple[str, ...]](
    "file-or-directory",
    Words("file-or-directory"),
    (),
    "DICOM files, and directories that hold some",
    repeats=True,
    unless="--files-from",
)

# General options -----------------------------------------------------------------------------------------------------

HELP = Option[bool]("--help", Flag(), False, "show this help and exit", "-h", exits=True)
VERSION = Option[bool]("--version", Flag(), False, "show the versions of everything involved and exit", exits=True)
ARGUMENTS = Option[bool]("--arguments", Flag(), False, "show the command line after command files are expanded")
QUIET = Option[bool](
    "--quiet", Flag(), False, "print nothing at all: the exit code tells", "-q", alternatives="verbosity"
)
VERBOSE = Option[bool]("--verbose", Flag(), False, "print what is done, file by file", "-v", alternatives="verbosity")
DEBUG = Option[bool]("--debug", Flag(), False, "print what helps to find a fault", "-d", alternatives="verbosity")
LOG_LEVEL = Option[str | None](
    "--log-level",
    Choice("LEVEL", ("fatal", "error", "warn", "info", "debug", "trace")),
    None,
    "log from this level on: fatal, error, warn, info, debug or trace",
    "-ll",
    excludes=("--verbose", "--debug", "--quiet"),
)
VERBOSE_PC = Option[bool](
    "--verbose-pc",
    Flag(),
    False,
    "print the presentation contexts too",
    "+v",
    requires=("--verbose", "--debug", "--log-level"),
)
PROGRESS = Option[When](
    "--progress",
    Choice[When]("WHEN", ("auto", "on", "off")),
    "auto",
    "live display on standard error: on, off, or auto, which is on for terminals",
)

# Options of the storage SCU, as in storescu's manual -----------------------------------------------------------------

SCAN_DIRECTORIES = Option[bool](
    "--scan-directories", Flag(), False, "scan directories as storescu does: without descending, unless +r", "+sd"
)
SCAN_PATTERN = Option[str | None](
    "--scan-pattern",
    Text("PATTERN"),
    None,
    "take those files of scanned directories whose names match: wildcards * ? [...]",
    "+sp",
    requires=("--scan-directories",),
)
NO_RECURSE = Option[bool](
    "--no-recurse",
    Flag(),
    False,
    "do not descend into the directories of scanned ones (default)",
    "-r",
    alternatives="recurse",
)
RECURSE = Option[bool](
    "--recurse",
    Flag(),
    False,
    "descend into the directories of scanned ones",
    "+r",
    alternatives="recurse",
    requires=("--scan-directories",),
)
CALLING_AE_TITLE = Option[str]("--aetitle", AETitle(), "STORESCU", "calling AE title: ours", "-aet")
CALLED_AE_TITLE = Option[str]("--call", AETitle(), "ANY-SCP", "called AE title: the peer's", "-aec")
REQUIRED = Option[bool](
    "--required",
    Flag(),
    False,
    "propose only what the files need, as is done anyway",
    "-R",
)
TIMEOUT = Option[int | None](
    "--timeout",
    Integer("SECONDS", 1),
    None,
    "give up connecting after this time",
    "-to",
    shown_default="unlimited",
)
SOCKET_TIMEOUT = Option[int](
    "--socket-timeout", Integer("SECONDS"), 60, "give up a link on which no byte moves for this time; 0: never", "-ts"
)
ACSE_TIMEOUT = Option[int](
    "--acse-timeout",
    Integer("SECONDS", 1),
    30,
    "give up waiting for an answer about an association after this time",
    "-ta",
)
DIMSE_TIMEOUT = Option[int | None](
    "--dimse-timeout",
    Integer("SECONDS", 1),
    None,
    "give up waiting for the response to a request after this time",
    "-td",
    shown_default="unlimited",
)
MAX_PDU = Option[int](
    "--max-pdu", Integer("BYTES", 4096, 131072), 16384, "largest PDU to receive, 4096..131072", "-pdu"
)
MAX_SEND_PDU = Option[int | None](
    "--max-send-pdu",
    Integer("BYTES", 4096, 131072),
    None,
    "send no larger PDUs than this, even if the peer takes them: 4096..131072",
)
REPEAT = Option[int]("--repeat", Integer("NUMBER", 1), 1, "store every file this many times")
ABORT = Option[bool]("--abort", Flag(), False, "end associations by aborting them")
NO_HALT = Option[bool](
    "--no-halt", Flag(), False, "go on when a file cannot be stored (default: stop at the first)", "-nh"
)

# Our own options -----------------------------------------------------------------------------------------------------

ASSOCIATIONS = Option[int | None](
    "--associations",
    IntegerOrAuto("N", 1, _MOST),
    None,
    "associations that store at the same time",
    shown_default="auto",
)
WORKERS = Option[int | None](
    "--workers",
    Integer("N", 1, _MOST),
    None,
    "processes that look into files",
    shown_default="by the number of cores",
)
ASYNC_OPS = Option[int](
    "--async-ops",
    Integer("N", 0, 65535),
    1,
    "asynchronous operations window to propose: requests under way in one association, 0: unlimited",
)
FILES_FROM = Option[str | None](
    "--files-from",
    Text("FILE"),
    None,
    "send also the files whose names stand in this file, one a line; -: standard input",
)
NULL = Option[bool](
    "--null",
    Flag(),
    False,
    "names in --files-from end with a zero byte, as find -print0 writes them",
    requires=("--files-from",),
)
JSON = Option[str | None](
    "--json", Text("FILE"), None, "write one JSON object a line for every file and the summary; -: standard output"
)
DRY_RUN = Option[bool](
    "--dry-run", Flag(), False, "say what would be sent and in which contexts, and send nothing", excludes=("--json",)
)

# Options of the other commands ---------------------------------------------------------------------------------------

COUNT = Option[int]("--count", Integer("N", 0), 4, "how many echoes to ask for; 0: until interrupted")
INTERVAL = Option[float]("--interval", Seconds(), 1.0, "time from one echo to the next")
SINK_PORT = Option[int]("--port", Integer("PORT", 0, 65535), 11112, "TCP port to listen on; 0: any that is free")
SINK_HOST = Option[str]("--host", Text("ADDRESS"), "127.0.0.1", "address to listen on; 0.0.0.0: all")
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
        Group(_GENERAL, (HELP, VERSION, ARGUMENTS, QUIET, VERBOSE, DEBUG, LOG_LEVEL, VERBOSE_PC)),
        Group("input options", (SCAN_DIRECTORIES, SCAN_PATTERN, NO_RECURSE, RECURSE), "input files"),
        Group(_NETWORK, (CALLING_AE_TITLE, CALLED_AE_TITLE), "application entity titles"),
        Group(_NETWORK, (REQUIRED,), "proposed transmission transfer syntaxes"),
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
            ),
            "other network options",
        ),
        Group(
            "options that storescu does not have",
            (ASSOCIATIONS, WORKERS, ASYNC_OPS, FILES_FROM, NULL, PROGRESS, JSON, DRY_RUN),
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
            (CALLING_AE_TITLE, CALLED_AE_TITLE, TIMEOUT, SOCKET_TIMEOUT, ACSE_TIMEOUT, DIMSE_TIMEOUT),
        ),
        Group("echo options", (COUNT, INTERVAL)),
    ),
    (_ENVIRONMENT, "Exit code: 0 every echo was answered with success, 1 otherwise."),
)

SINK = Command(
    "sink",
    "be a storage SCP that discards or keeps what it receives, to try things out",
    (),
    (
        Group(_GENERAL, (HELP, QUIET, VERBOSE, DEBUG, LOG_LEVEL)),
        Group(_NETWORK, (SINK_HOST, SINK_PORT, SINK_AE_TITLE, SINK_MAX_PDU, MAX_ASSOCIATIONS, SINK_ASYNC_OPS)),
        Group("behaviour", (OUTPUT, LATENCY, STATUS)),
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
