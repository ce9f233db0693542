"""The options of ``send``, and those it shares with other commands: one row each.

Those of storescu have its names, ranges and defaults. Rows that mean the same in several commands are the same object.
To add an option, write its row, put it into its group in :mod:`~asyncstore.cli.options.command_table`, and read
``parsed[opt.ROW]`` where it matters. Nothing else lists the options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from asyncstore.cli.options.kinds import (
    AETitle,
    Choice,
    Duration,
    Host,
    Integer,
    IntegerOrAuto,
    Pair,
    Patience,
    Rate,
    Secret,
    StatusRanges,
    Text,
    TimeZone,
    Words,
)
from asyncstore.cli.options.table import Option, Parameter, flag, text
from asyncstore.schedule.gate import Affinity

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from asyncstore.schedule.timetable import TimeTable

When = Literal["auto", "on", "off"]

STANDARD_STREAM = "-"
"""The name that stands for standard input or standard output instead of a file."""

_MOST = 1024
"""A larger number of associations or processes is a typing mistake."""

_MOST_SECONDS = 2**31 - 1
"""68 years. A number of hundreds of digits is no time that a clock could count."""

TRANSFER_SYNTAX_CHOICES = (
    ("-x=", "--propose-uncompr", "all uncompressed ones, explicit VR in this machine's byte order first"),
    ("-xe", "--propose-little", "all uncompressed ones, explicit VR little endian first"),
    ("-xb", "--propose-big", "all uncompressed ones, explicit VR big endian first"),
    ("-xi", "--propose-implicit", "implicit VR little endian only"),
    ("-xs", "--propose-lossless", "JPEG lossless, and all uncompressed ones"),
    ("-xy", "--propose-jpeg8", "JPEG baseline (lossy, 8 bit), and all uncompressed ones"),
    ("-xx", "--propose-jpeg12", "JPEG extended (lossy, 12 bit), and all uncompressed ones"),
    ("-xv", "--propose-j2k-lossless", "JPEG 2000 lossless, and all uncompressed ones"),
    ("-xw", "--propose-j2k-lossy", "JPEG 2000, and all uncompressed ones"),
    ("-xt", "--propose-jls-lossless", "JPEG-LS lossless, and all uncompressed ones"),
    ("-xu", "--propose-jls-lossy", "JPEG-LS near-lossless, and all uncompressed ones"),
    ("-xm", "--propose-mpeg2", "MPEG2 main profile at main level only"),
    ("-xh", "--propose-mpeg2-high", "MPEG2 main profile at high level only"),
    ("-xn", "--propose-mpeg4", "MPEG-4 AVC/H.264 high profile, level 4.1, only"),
    ("-xl", "--propose-mpeg4-bd", "MPEG-4 AVC/H.264 BD-compatible high profile, level 4.1, only"),
    ("-x2", "--propose-mpeg4-2-2d", "MPEG-4 AVC/H.264 high profile, level 4.2, for 2D video only"),
    ("-x3", "--propose-mpeg4-2-3d", "MPEG-4 AVC/H.264 high profile, level 4.2, for 3D video only"),
    ("-xo", "--propose-mpeg4-2-st", "MPEG-4 AVC/H.264 stereo high profile, level 4.2, only"),
    ("-x4", "--propose-hevc", "HEVC/H.265 main profile, level 5.1, only"),
    ("-x5", "--propose-hevc10", "HEVC/H.265 main 10 profile, level 5.1, only"),
    ("-xr", "--propose-rle", "RLE lossless, and all uncompressed ones"),
    ("-xd", "--propose-deflated", "deflated explicit VR little endian, and all uncompressed ones"),
    (None, "--propose-htj2k", "high-throughput JPEG 2000, and all uncompressed ones"),
    (None, "--propose-htj2k-lossless", "high-throughput JPEG 2000 lossless, and all uncompressed ones"),
    (None, "--propose-jpegxl", "JPEG XL, and all uncompressed ones"),
)
"""Short name, long name and meaning of the transfer syntaxes to propose. The negotiation room knows what each of them
proposes."""

# Parameters ----------------------------------------------------------------------------------------------------------

PEER = Parameter[str]("peer", Host("peer"), "", "host name or IP address of the storage SCP", unless=("--peer",))
PORT = Parameter[int]("port", Integer("port", 1, 65535), 0, "its TCP port", unless=("--peer",))
INPUTS = Parameter[tuple[str, ...]](
    "file-or-directory",
    Words("file-or-directory"),
    (),
    "DICOM files, and directories that hold some",
    repeats=True,
    unless=("--files-from", "--dicomdir"),
)

# General options -----------------------------------------------------------------------------------------------------

HELP = flag("--help", "show this help and exit", "-h", exits=True)
VERSION = flag("--version", "show the versions of everything involved and exit", exits=True)
ARGUMENTS = flag("--arguments", "show the command line after command files are expanded", line_only=True)
QUIET = flag(
    "--quiet", "print nothing but usage errors; the exit code tells the result", "-q", alternatives="verbosity"
)
VERBOSE = flag("--verbose", "print what is done, step by step", "-v", alternatives="verbosity")
DEBUG = flag("--debug", "print what helps to find a fault", "-d", alternatives="verbosity")
LOG_LEVEL = Option[str | None](
    "--log-level",
    Choice("LEVEL", ("fatal", "error", "warn", "info", "debug", "trace")),
    None,
    "log from this level on: fatal, error, warn, info, debug or trace",
    "-ll",
    excludes=("--verbose", "--debug", "--quiet"),
)
VERBOSE_PC = flag(
    "--verbose-pc",
    "print the presentation contexts too",
    "+v",
    requires=("--verbose", "--debug", "--log-level", "--log-config"),
)
CONFIG = text("--config", "FILE", "take options from this TOML file too")
NAMED_PEER = text(
    "--peer",
    "NAME",
    "use the peer of this name in the configuration file; leave out the parameters peer and port then",
    line_only=True,
)
PROGRESS = Option[When](
    "--progress",
    Choice[When]("WHEN", ("auto", "on", "off")),
    "auto",
    "progress on standard error: auto and on show it live on terminals, elsewhere a line now and then; off: none",
)

# Options of the storage SCU, as in storescu's manual -----------------------------------------------------------------

SCAN_DIRECTORIES = flag("--scan-directories", "scan directories as storescu does: without descending, unless +r", "+sd")
SCAN_PATTERN = text(
    "--scan-pattern",
    "PATTERN",
    "take those files of scanned directories whose names match: wildcards * ? [...]",
    "+sp",
    requires=("--scan-directories",),
)
NO_RECURSE = flag(
    "--no-recurse",
    "do not descend into directories within directories (default with +sd)",
    "-r",
    alternatives="recurse",
)
RECURSE = flag(
    "--recurse",
    "descend into the directories of scanned ones",
    "+r",
    alternatives="recurse",
    requires=("--scan-directories",),
)
READ_FILE = flag(
    "--read-file",
    "take files with file meta information and bare data sets (default)",
    "+f",
    alternatives="file format",
)
READ_FILE_ONLY = flag(
    "--read-file-only", "take files with file meta information only", "+fo", alternatives="file format"
)
READ_DATASET = flag(
    "--read-dataset", "take bare data sets only, without file meta information", "-f", alternatives="file format"
)
NO_RENAME = flag("--no-rename", "leave the names of files alone (default)", "-rn", alternatives="rename")
RENAME = flag(
    "--rename",
    "add .done to the names of files that were stored and .bad to those that were not; pass over .done next time",
    "+rn",
    alternatives="rename",
)
IPV4 = flag("--ipv4", "use IPv4 only", "-i4", alternatives="IP version")
IPV6 = flag("--ipv6", "use IPv6 only", "-i6", alternatives="IP version")
IP_AUTO = flag("--ip-auto", "use what the host name resolves to (default)", "-i0", alternatives="IP version")
CALLING_AE_TITLE = Option[str]("--aetitle", AETitle(), "STORESCU", "calling AE title: ours", "-aet")
CALLED_AE_TITLE = Option[str]("--call", AETitle(), "ANY-SCP", "called AE title: the peer's", "-aec")
CONFIG_FILE = Option[tuple[str, str] | None](
    "--config-file",
    Pair("FILE", "PROFILE"),
    None,
    "propose what this profile of an association configuration file says",
    "-xf",
    excludes=(*(name for _, name, _ in TRANSFER_SYNTAX_CHOICES[1:]), "--required", "--combine"),
)
"""It does not exclude ``-x=``: in storescu that is the default, given or not."""
PROPOSE = {
    name: flag(name, meaning, short, alternatives="proposed transfer syntaxes")
    for short, name, meaning in TRANSFER_SYNTAX_CHOICES
}
"""A row for each choice of a transfer syntax to propose, by its long name."""
REQUIRED = flag(
    "--required", "propose only the SOP classes of the files (default with these options: storescu's 64)", "-R"
)
COMBINE = flag("--combine", "propose all transfer syntaxes of a SOP class in one context", "+C")
ENABLE_NEW_VR = flag("--enable-new-vr", "send UN and UT elements as such (default)", "+u", alternatives="new VRs")
DISABLE_NEW_VR = flag(
    "--disable-new-vr", "send elements of VRs that are younger than 1993 as OB", "-u", alternatives="new VRs"
)
COMPRESSION_LEVEL = Option[int](
    "--compression-level",
    Integer("LEVEL", 0, 9),
    6,
    "how hard to deflate: 0 not at all, 1 fast, 9 best",
    "+cl",
    requires=("--propose-deflated", "--config-file"),
)
USER = text("--user", "NAME", "log in at the peer as this user", "-usr", alternatives="identity")
PASSWORD = Option[str | None](
    "--password",
    Secret("PASSWORD"),
    None,
    "log in with this password; in ASYNCSTORE_PASSWORD no other user sees it",
    "-pwd",
    requires=("--user",),
    alternatives="identity password",
)
EMPTY_PASSWORD = flag(
    "--empty-password", "log in with an empty password", "-epw", requires=("--user",), alternatives="identity password"
)
ASK_PASSWORD = flag(
    "--ask-password", "ask for the password on the terminal", requires=("--user",), alternatives="identity password"
)
KERBEROS = text("--kerberos", "FILE", "log in with the Kerberos ticket in this file", "-kt", alternatives="identity")
SAML = text("--saml", "FILE", "log in with the SAML assertion in this file", alternatives="identity")
JWT = text("--jwt", "FILE", "log in with the JSON web token in this file", alternatives="identity")
POSITIVE_RESPONSE = flag(
    "--pos-response",
    "send nothing unless the peer confirms the login",
    "-rsp",
    requires=("--user", "--kerberos", "--saml", "--jwt"),
)
TIMEOUT = Option[int | None](
    "--timeout",
    Integer("SECONDS", 1, _MOST_SECONDS),
    None,
    "give up connecting after this time",
    "-to",
    shown_default="unlimited",
)
SOCKET_TIMEOUT = Option[int](
    "--socket-timeout",
    Integer("SECONDS", -1, _MOST_SECONDS),
    60,
    "give up a connection on which no byte moves for this time; 0: never",
    "-ts",
)
ACSE_TIMEOUT = Option[int](
    "--acse-timeout",
    Integer("SECONDS", 1, _MOST_SECONDS),
    30,
    "give up waiting for an answer about an association after this time",
    "-ta",
)
DIMSE_TIMEOUT = Option[int | None](
    "--dimse-timeout",
    Integer("SECONDS", 1, _MOST_SECONDS),
    None,
    "give up a peer that owes a response and sends none for this time",
    "-td",
    shown_default="only -ts ends the wait",
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
ABORT = flag("--abort", "end associations by aborting them")
NO_HALT = flag("--no-halt", "go on when a file cannot be stored (default: stop at the first)", "-nh")
UID_PADDING = flag("--uid-padding", "accept UIDs that are padded with spaces (always done)", "-up")
INVENT_INSTANCE = flag(
    "--invent-instance", "give each instance a new SOP instance UID, in new series, studies and patients", "+II"
)
INVENT_SERIES = Option[int](
    "--invent-series", Integer("NUMBER", 1), 100, "the same, with a new series after so many instances", "+IR"
)
INVENT_STUDY = Option[int](
    "--invent-study", Integer("NUMBER", 1), 50, "the same, with a new study after so many series", "+IS"
)
INVENT_PATIENT = Option[int](
    "--invent-patient", Integer("NUMBER", 1), 25, "the same, with a new patient after so many studies", "+IP"
)
INVENTIONS = (INVENT_INSTANCE, INVENT_SERIES, INVENT_STUDY, INVENT_PATIENT)
LOG_CONFIG = text(
    "--log-config",
    "FILE",
    "log as this file says: log4cplus properties, or Python's dictConfig in TOML or JSON",
    "-lc",
    excludes=("--log-level", "--verbose", "--debug", "--quiet"),
)

# Our own options -----------------------------------------------------------------------------------------------------

ASSOCIATIONS = Option[int | None](
    "--associations",
    IntegerOrAuto("N", 1, _MOST),
    None,
    "associations that store at the same time",
    shown_default="auto",
)
AFFINITY = Option[Affinity](
    "--affinity",
    Choice("WHAT", tuple(Affinity)),
    Affinity.FIRST,
    "keep on one association: first (the first instance of each study and patient, until it is stored), "
    "study or patient (all of each), or none",
)
RETRIES = Option[int](
    "--retries",
    Integer("N", 0, 1000),
    3,
    "send an instance again, so often at most, if its association ended or the peer had no resources (A700..A76F); "
    "before the n-th time wait for up to 2^(n-1) seconds",
)
RETRY_STATUSES = Option[tuple[range, ...]](
    "--retry-statuses",
    StatusRanges("STATUSES"),
    (),
    "send again after these statuses too, such as 0110,C000-C0FF",
    accumulates=True,
)
WAIT_FOR_PEER = Option[float | None](
    "--wait-for-peer",
    Patience("SECONDS"),
    None,
    "wait so long for a peer that is down or restarts, or forever",
    shown_default="0 for the first association, 60 once something is stored",
)
LIMIT_RATE: Option[TimeTable | None] = Option(
    "--limit-rate",
    Rate("BYTES", "bytes"),
    None,
    "send at most so many bytes a second (2M, 512Ki), nothing (pause), or by the hour: 'Mon-Fri 07:00,2M 18:00,off'",
    shown_default="off",
)
LIMIT_STORES: Option[TimeTable | None] = Option(
    "--limit-stores",
    Rate("N", "stores"),
    None,
    "begin at most so many stores a second (10, 600/min, 1000/h), or by the hour, in the same way",
    shown_default="off",
)
TIME_ZONE: Option[ZoneInfo | None] = Option(
    "--time-zone",
    TimeZone("NAME"),
    None,
    "times in --limit-rate and --limit-stores are those of this zone, such as Europe/Berlin",
    shown_default="the machine's",
    requires=("--limit-rate", "--limit-stores"),
)
GUARD_ECHO = Option[float | None](
    "--guard-echo",
    Duration("P95", "200ms, or 0.2s"),
    None,
    "ask with C-ECHO every two seconds, and send more slowly while more than 5 % of the answers take longer than this",
    shown_default="off",
)
MAX_DURATION = Option[float | None](
    "--max-duration",
    Duration("DURATION", "90s, 30m, 6h or 1h30m"),
    None,
    "begin nothing new after this time, finish what is under way, and end",
    shown_default="unlimited",
)
WORKERS = Option[int | None](
    "--workers",
    Integer("N", 1, _MOST),
    None,
    "processes that read the heads of files",
    shown_default="by the number of cores",
)
MAX_INFLATED = Option[int](
    "--max-inflated",
    Integer("BYTES", 1),
    1 << 28,
    "convert no deflated data set that inflates to more bytes than this, and no image with a larger frame; each worker "
    "holds as many in memory",
)
TRANSCODE = Option[str](
    "--transcode",
    Choice("WHAT", ("auto", "lossless", "never")),
    "lossless",
    "where the peer takes pixel data in other transfer syntaxes only: lossless: decompress it, or compress it without "
    "losses; auto: also with losses, if the proposal names such a transfer syntax; never: send nothing of it",
)
ASYNC_OPS = Option[int](
    "--async-ops",
    Integer("N", 0, 65535),
    1,
    "asynchronous operations window to propose: outstanding requests in one association; 0: unlimited",
)
FILES_FROM = text(
    "--files-from", "FILE", "take also the files whose names stand in this file, one a line; -: standard input"
)
NULL = flag(
    "--null", "names in --files-from end with a zero byte, as find -print0 writes them", requires=("--files-from",)
)
JSON = text("--json", "FILE", "write one JSON object a line for every file and the summary; -: standard output")
METRICS_PORT = Option[int | None](
    "--metrics-port",
    Integer("PORT", 0, 65535),
    None,
    "show metrics for Prometheus at this TCP port, under /metrics; 0: any that is free",
)
METRICS_HOST = Option[str](
    "--metrics-host",
    Text("ADDRESS"),
    "127.0.0.1",
    "address where --metrics-port listens; 0.0.0.0: all, for everybody who reaches them",
    requires=("--metrics-port",),
)
METRICS_FILE = text(
    "--metrics-file", "FILE", "write them to this file every 15 s, for node_exporter, which reads names in .prom"
)
JOURNAL = text("--journal", "FILE", "keep how each file ended in this file; give the same command again to go on")
RETRY_FAILED = flag(
    "--retry-failed", "send again what the peer refused in earlier runs of the journal", requires=("--journal",)
)
RETRY_NOT_SENT = flag(
    "--retry-not-sent", "look again at files that earlier runs of the journal could not send", requires=("--journal",)
)
JOURNAL_ON_NETWORK = flag(
    "--journal-on-network", "use the journal even if it lies on a network file system", requires=("--journal",)
)
PEER_MOVED = flag(
    "--peer-moved",
    "the journal's peer has this address and these AE titles from now on",
    requires=("--journal",),
    line_only=True,
)
ORDER = Option[str](
    "--order",
    Choice("ORDER", ("walk", "newest", "oldest", "largest", "list")),
    "walk",
    "send the catalogue as it was found, by study (newest, oldest or largest first), or as its list is (--only-...)",
    requires=("--journal",),
)
ONLY_STUDIES = text(
    "--only-studies",
    "FILE",
    "send of the catalogue only the studies whose UIDs stand in this file, one a line",
    requires=("--journal",),
    excludes=("--only-uids",),
)
ONLY_UIDS = text(
    "--only-uids",
    "FILE",
    "send of the catalogue only the instances whose UIDs stand in this file, one a line",
    requires=("--journal",),
)
CONFLICTS = Option[str](
    "--conflicts",
    Choice("WHAT", ("send", "hold")),
    "send",
    "files of the catalogue with one SOP instance UID and different bytes: send them, or hold them back",
    requires=("--journal",),
)
SYSTEMD = flag(
    "--systemd",
    "run as a service of systemd with Type=notify: say when it is ready and how far it is, and feed the watchdog",
)
DRY_RUN = flag(
    "--dry-run",
    "show what would be sent and in which contexts, and send nothing",
    excludes=("--json", "--journal", "--metrics-port", "--metrics-file"),
)
