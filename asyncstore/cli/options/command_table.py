"""The commands: which options each of them has, in the groups and the order of its help.

``send`` has storescu's rows in the groups and the order of storescu's manual, and then a group of our own. Groups that
several commands share are written once, in :mod:`~asyncstore.cli.options.groups`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from asyncstore.cli.options import edit_rows as edit_opt
from asyncstore.cli.options import groups
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import source_rows as source_opt
from asyncstore.cli.options import tls_rows as tls_opt
from asyncstore.cli.options.kinds import Address, AETitle, Choice, Integer, Seconds, Status, Text, Words
from asyncstore.cli.options.table import Command, Example, Group, Option, Parameter, flag, text

if TYPE_CHECKING:
    from collections.abc import Iterator

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
OUTPUT = text("--output", "DIRECTORY", "keep what arrives in this directory", shown_default="discard it")
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
SINK_MAX_PDU = opt.MAX_PDU._replace(default=131072)
STRICT_STUDIES = flag(
    "--strict-studies",
    "refuse instances of a study or patient with 0x0110 while its first one is not answered, as some archives do",
)
MAX_ASSOCIATIONS = Option[int | None](
    "--max-associations",
    Integer("N", 1),
    None,
    "reject more associations than this at a time, with 'local limit exceeded'",
    shown_default="unlimited",
)
SINK_ASYNC_OPS = Option[int](
    "--async-ops",
    Integer("N", 0, 65535),
    0,
    "asynchronous operations window to grant to requestors that propose one; 0: what they propose",
)
IDLE_TIMEOUT = Option[float](
    "--idle-timeout",
    Seconds(),
    60.0,
    "abort an association if no byte moves for this time while no response is due; 0: never",
)
GROUP_READABLE = flag(
    "--group-readable",
    "let the group read the kept files too (0640, and 0750 for a new directory)",
    requires=("--output",),
)
KEEP = flag("--keep", "keep the folder with the archive and what arrived")

PEER_CHECK = Option[tuple[str, int] | None](
    "--peer-check",
    Address(),
    None,
    "negotiate the contexts with this peer, send nothing, and show what it accepts",
    excludes=("--peer",),
)
CHECKED_PEER = opt.NAMED_PEER._replace(help="the same with the peer of this name in the configuration file")

SCAN_PROGRESS = opt.PROGRESS._replace(help="auto and on show the count of files on terminals; off: none")
SCAN_JSON = opt.JSON._replace(
    help="write the plan as JSON, one object a line; -: standard output, in place of the text"
)
SCAN_JOURNAL = opt.JOURNAL._replace(
    help="keep what was found in this file, the catalogue, for send --journal; give the same command again to go on"
)
SCAN_SOURCES = tuple(row._replace(excludes=()) for row in source_opt.SOURCES)
SENT_INPUTS = opt.INPUTS._replace(unless=(*opt.INPUTS.unless, opt.JOURNAL.long))
JOURNAL_FILE = Parameter[str]("journal", Text("journal"), "", "the journal of send --journal")
REPORT_LIST = Option[str | None](
    "--list",
    Choice("STATE", ("stored", "warning", "failed", "not-sent", "unknown", "waiting", "repaired", "all")),
    None,
    "list the files in this state: stored, warning, failed, not-sent, unknown or waiting; those that were repaired; "
    "or all",
    excludes=("--studies",),
    line_only=True,
)
REPORT_STUDIES = Option[str | None](
    "--studies",
    Choice("STATE", ("complete", "incomplete", "untouched", "all")),
    None,
    "list the studies that are stored wholly or in part, or that wait: complete, incomplete or untouched; or all",
    line_only=True,
)
REPORT_CSV = flag(
    "--csv", "print the list as CSV", requires=("--list", "--studies"), excludes=("--json", "--null"), line_only=True
)
REPORT_JSON = flag(
    "--json", "print the list as JSON, one object a line; without a list, the sums as one object", line_only=True
)
REPORT_NULL = flag(
    "--null",
    "print only names, each with a zero byte at its end, for send --files-from - --null",
    requires=("--list",),
    excludes=("--json",),
    line_only=True,
)
HTML = text(
    "--html",
    "FILE",
    "write the report as a page for a browser as well, with charts and without names of files or patients",
    excludes=("--list", "--studies"),
    line_only=True,
)
SALVAGE = text(
    "--salvage",
    "FILE",
    "read what can be read of a damaged journal into this new one, and report nothing",
    excludes=("--list", "--studies", "--json", "--html"),
    line_only=True,
)
JOURNALS = Parameter[tuple[str, ...]](
    "journal", Words("journal"), (), "the journals of send --journal; several are one report", repeats=True
)
REQUESTS = (
    "status",
    "pause",
    "resume",
    "stop",
    "limit-rate",
    "limit-stores",
    "associations",
    "prioritise",
    "retry-failed",
)
REQUEST = Parameter[str]("request", Choice("request", REQUESTS), "", "what the run is asked to do, see below")
REQUEST_VALUE = Parameter[str | None](
    "value", Text("value"), None, "how much, how many, or what; see below", is_optional=True
)
CTL_JSON = flag("--json", "print the answer as JSON: the state of the run, for status", line_only=True)
SHELL = Parameter[str](
    "bash|zsh|fish", Choice("bash|zsh|fish", ("bash", "zsh", "fish")), "", "the shell to complete words in"
)

# Commands ------------------------------------------------------------------------------------------------------------

_OURS = "options that storescu does not have"
_FILE_FORMAT = (opt.READ_FILE, opt.READ_FILE_ONLY, opt.READ_DATASET)
_DIRECTORIES = (opt.SCAN_DIRECTORIES, opt.SCAN_PATTERN, opt.NO_RECURSE, opt.RECURSE)
_LISTS = (opt.FILES_FROM, opt.NULL)

SEND = Command(
    "send",
    "send DICOM files and directories to a storage SCP; takes storescu's command lines",
    (opt.PEER, opt.PORT, SENT_INPUTS),
    (
        Group(groups.GENERAL, (opt.HELP, opt.VERSION, opt.ARGUMENTS, *groups.LOGGING, opt.VERBOSE_PC)),
        Group("input options", _FILE_FORMAT, "input file format"),
        Group("input options", (*_DIRECTORIES, opt.NO_RENAME, opt.RENAME), "input files"),
        groups.IP_VERSION,
        groups.TITLES,
        Group(groups.NETWORK, (opt.CONFIG_FILE,), "association negotiation profile from a configuration file"),
        Group(
            groups.NETWORK,
            (*opt.PROPOSE.values(), opt.REQUIRED, opt.COMBINE),
            "proposed transmission transfer syntaxes (not with --config-file; default: what each file needs)",
        ),
        Group(groups.NETWORK, (opt.ENABLE_NEW_VR, opt.DISABLE_NEW_VR), "post-1993 value representations"),
        Group(
            groups.NETWORK,
            (opt.COMPRESSION_LEVEL,),
            "deflate compression level (only with --propose-deflated or --config-file)",
        ),
        groups.IDENTITY,
        Group(
            groups.NETWORK,
            (
                *groups.TIMEOUTS,
                opt.MAX_PDU,
                opt.MAX_SEND_PDU,
                opt.REPEAT,
                opt.ABORT,
                opt.NO_HALT,
                opt.UID_PADDING,
                *opt.INVENTIONS,
            ),
            groups.OTHER_NETWORK,
        ),
        *tls_opt.TLS_GROUPS,
        Group(
            _OURS,
            (
                opt.ASSOCIATIONS,
                opt.AFFINITY,
                opt.RETRIES,
                opt.RETRY_STATUSES,
                opt.WAIT_FOR_PEER,
                opt.LIMIT_RATE,
                opt.LIMIT_STORES,
                opt.TIME_ZONE,
                opt.GUARD_ECHO,
                opt.MAX_DURATION,
                opt.WORKERS,
                opt.MAX_INFLATED,
                opt.TRANSCODE,
                opt.ASYNC_OPS,
                *_LISTS,
                *source_opt.SOURCES,
                *edit_opt.EDITS,
                opt.JOURNAL,
                opt.RETRY_FAILED,
                opt.RETRY_NOT_SENT,
                opt.JOURNAL_ON_NETWORK,
                opt.PEER_MOVED,
                opt.ORDER,
                opt.ONLY_STUDIES,
                opt.ONLY_UIDS,
                opt.CONFLICTS,
                opt.PROGRESS,
                opt.JSON,
                opt.METRICS_PORT,
                opt.METRICS_HOST,
                opt.METRICS_FILE,
                opt.SYSTEMD,
                opt.DRY_RUN,
                opt.CONFIG,
                opt.NAMED_PEER,
            ),
        ),
    ),
    (
        "A directory is sent with all files below it. Any word @FILE is replaced by the words in that file.",
        (
            "A file or directory may also be the URL of an object, or of all objects below a prefix, of a store: "
            "s3://, gs://, az://, sftp://. Credentials come from where the library of each store looks for them."
        ),
        (
            "With a --journal in which scan --journal has made a catalogue, files can be left out: the catalogue is "
            "sent. Files that are named are walked, so that new ones are found, unless an option needs the catalogue."
        ),
        groups.END_OF_OPTIONS,
        groups.ENVIRONMENT,
        groups.PEERS,
        (
            "SIGINT and SIGTERM let the files under way finish; the second one aborts them. SIGHUP reads the "
            "configuration file again if there is one and standard error is no terminal; otherwise it acts as SIGTERM. "
            "With a --journal, asyncstore ctl steers the run."
        ),
        (
            "Exit code: 0 every file is stored, by this run or earlier ones of its journal, 1 nothing could be "
            "attempted, 2 some file is not stored, or --json or --journal could not be written to its end, 130 "
            "interrupted."
        ),
    ),
    (
        Example("send a folder, and go on when a file is refused", "asyncstore send -nh -aec PACS pacs 11112 /archive"),
        Example("what would be sent?", "asyncstore send --dry-run pacs 11112 /archive"),
        Example(
            "only the files of a list, with a record of each outcome",
            "asyncstore send -nh --files-from list --json run.jsonl pacs 11112",
        ),
        Example(
            "a migration: the same command goes on where it ended",
            "asyncstore send -nh --journal run.db -aec PACS pacs 11112 /archive",
        ),
        Example("the files of a folder, whatever their names begin with", "asyncstore send -nh -- pacs 11112 *"),
        Example(
            "the images of a CD, and the files in an archive",
            "asyncstore send -nh --archives --dicomdir /media/cdrom pacs 11112 study.zip",
        ),
        Example("over TLS", "asyncstore send +tls key.pem cert.pem +cf ca.pem pacs 2762 /archive"),
        Example("to a peer of the configuration file", "asyncstore send --peer pacs1 /archive"),
    ),
)

RESUME = Command(
    "resume",
    "repeat the command that a journal recorded, to send what is not known to be stored",
    (JOURNAL_FILE,),
    (
        Group(
            "options",
            (
                opt.HELP,
                opt.RETRY_FAILED._replace(requires=()),
                opt.RETRY_NOT_SENT._replace(requires=()),
                opt.JOURNAL_ON_NETWORK._replace(requires=()),
            ),
        ),
    ),
    (
        (
            "The command runs in the directory in which it was given. Passwords are not recorded: give them in the "
            "environment, as ASYNCSTORE_PASSWORD."
        ),
        "Exit code: that of send.",
    ),
    (
        Example("go on after a crash, a reboot or Ctrl-C", "asyncstore resume run.db"),
        Example("and send again what the peer refused", "asyncstore resume --retry-failed run.db"),
    ),
)

REPORT = Command(
    "report",
    "report about runs that have a journal: sums, lists of files and studies, a page for a browser",
    (JOURNALS,),
    (
        Group("options", (opt.HELP, opt.QUIET)),
        Group("lists", (REPORT_LIST, REPORT_STUDIES, REPORT_CSV, REPORT_JSON, REPORT_NULL)),
        Group("other output", (HTML, SALVAGE)),
    ),
    (
        "A run may go on meanwhile. Days and times are those of UTC.",
        (
            "Exit code: 0 all walks ended and all files found are stored, 1 a journal cannot be read, 2 some file is "
            "not stored, waits, or may not have been found. Lists end with 0. --salvage ends with 2 if something was "
            "lost."
        ),
    ),
    (
        Example("how far is the migration?", "asyncstore report run.db"),
        Example("what failed, and why?", "asyncstore report --list failed run.db"),
        Example(
            "send to another peer what one refused",
            "asyncstore report --list failed --null run.db | asyncstore send --files-from - --null pacs2 104",
        ),
        Example(
            "several parts of one migration, for a browser", "asyncstore report --html report.html part1.db part2.db"
        ),
        Example("a damaged journal", "asyncstore report --salvage new.db run.db"),
    ),
)

CTL = Command(
    "ctl",
    "ask about a run that is under way, pause it, slow it down, or end it",
    (JOURNAL_FILE, REQUEST, REQUEST_VALUE),
    (Group("options", (opt.HELP, opt.QUIET, CTL_JSON)),),
    (
        "status: what the run has done, how fast it is, what it waits for, and how long it will take.",
        (
            "pause: finish the stores under way, and begin none until resume. stop: end the run as SIGTERM does; it "
            "can be given again later."
        ),
        (
            "limit-rate BYTES, limit-stores N: send no more than this in a second, or by the hour, as the options of "
            "send say it; off: no limit. associations N or auto: store over so many associations."
        ),
        (
            "prioritise UID-OR-ID: send the waiting instances of this study or patient next; with - the word is read "
            "from standard input, where no other user sees it."
        ),
        (
            "retry-failed: when the run has sent everything else, send again all files of the journal that the peer "
            "has refused."
        ),
        (
            "It asks the run of send --journal on this machine, over the socket beside the journal (run.db-ctl). Only "
            "the user who started the run, and root, can do so. Not on Windows."
        ),
        "Exit code: 0 it is done, 1 there is no such run, or it cannot do so.",
    ),
    (
        Example("how far is it?", "asyncstore ctl run.db status"),
        Example("leave the network to others for a while", "asyncstore ctl run.db pause"),
        Example("and go on", "asyncstore ctl run.db resume"),
        Example("two associations at most", "asyncstore ctl run.db associations 2"),
        Example("this study is needed now", "asyncstore ctl run.db prioritise 1.2.840.113619.2.55.3"),
    ),
)

ECHO = Command(
    "echo",
    "ask a peer with C-ECHO whether it is there and how fast it answers",
    (opt.PEER, opt.PORT),
    (
        Group(groups.GENERAL, (opt.HELP, *groups.LOGGING, opt.CONFIG, opt.NAMED_PEER)),
        groups.IP_VERSION,
        groups.TITLES,
        groups.IDENTITY,
        Group(groups.NETWORK, groups.TIMEOUTS, groups.OTHER_NETWORK),
        Group("echo options", (COUNT, INTERVAL)),
        *tls_opt.TLS_GROUPS,
    ),
    (groups.ENVIRONMENT, groups.PEERS, "Exit code: 0 every echo was answered with success, 1 otherwise."),
    (
        Example("is the peer there, and does it know us?", "asyncstore echo -aet ME -aec PACS pacs 11112"),
        Example(
            "how fast does it answer over TLS?", "asyncstore echo --count 20 --interval 0.1 +tla +cf ca.pem pacs 2762"
        ),
    ),
)

SCAN = Command(
    "scan",
    "show what files and directories hold, which contexts they need, and which of these a peer accepts",
    (opt.INPUTS,),
    (
        Group(groups.GENERAL, (opt.HELP, *groups.LOGGING, opt.CONFIG)),
        Group("input options", _FILE_FORMAT, "input file format"),
        Group("input options", (*_DIRECTORIES, *_LISTS, *SCAN_SOURCES, opt.WORKERS), "input files"),
        Group("output options", (SCAN_PROGRESS, SCAN_JSON, SCAN_JOURNAL, opt.JOURNAL_ON_NETWORK)),
        Group("peer options", (PEER_CHECK, CHECKED_PEER, opt.TRANSCODE)),
        groups.IP_VERSION,
        groups.TITLES,
        groups.IDENTITY,
        Group(groups.NETWORK, (*groups.TIMEOUTS, opt.MAX_PDU), groups.OTHER_NETWORK),
        *tls_opt.TLS_GROUPS,
    ),
    (
        "A directory is scanned with all files below it. Nothing is sent.",
        "Network and TLS options are for the peer that is asked.",
        groups.END_OF_OPTIONS,
        groups.ENVIRONMENT,
        groups.PEERS,
        (
            "Exit code: 0 all files could be sent, 1 no instance was found or the peer could not be asked, 2 some file "
            "cannot be sent or some context is not accepted, 130 interrupted."
        ),
    ),
    (
        Example("what is there?", "asyncstore scan /archive"),
        Example("which of it does the peer accept?", "asyncstore scan --peer-check pacs 11112 /archive"),
        Example("the same for programs", "asyncstore scan --json - --peer pacs1 /archive"),
        Example("a catalogue, which send --journal run.db sends", "asyncstore scan --journal run.db /archive"),
    ),
)

SINK = Command(
    "sink",
    "run a storage SCP for tests, which discards or keeps what it receives",
    (),
    (
        Group(groups.GENERAL, (opt.HELP, *groups.LOGGING, opt.CONFIG)),
        Group(
            groups.NETWORK,
            (
                opt.IPV4,
                opt.IPV6,
                opt.IP_AUTO,
                SINK_HOST,
                SINK_PORT,
                SINK_AE_TITLE,
                SINK_MAX_PDU,
                MAX_ASSOCIATIONS,
                SINK_ASYNC_OPS,
                IDLE_TIMEOUT,
            ),
        ),
        Group("behaviour", (OUTPUT, GROUP_READABLE, LATENCY, STATUS, STRICT_STUDIES)),
        *tls_opt.ACCEPTOR_TLS_GROUPS,
    ),
    (
        "It runs until interrupted (Ctrl-C).",
        groups.ENVIRONMENT,
        "Exit code: 0 it was interrupted, 1 it could not listen, or not use its directory.",
    ),
    (
        Example("keep what arrives", "asyncstore sink --output received"),
        Example("be reachable from other machines", "asyncstore sink --host 0.0.0.0 --port 11112 --aet PACS"),
        Example(
            "play a slow, narrow, failing PACS", "asyncstore sink --latency 0.02 --max-associations 4 --status 0xA700"
        ),
        Example("over TLS", "asyncstore sink --port 2762 +tls key.pem cert.pem +cf ca.pem"),
    ),
)

DEMO = Command(
    "demo",
    "send a synthetic archive to a sink on this machine and check what arrived",
    (),
    (Group("options", (opt.HELP, opt.ASSOCIATIONS, opt.PROGRESS, KEEP, opt.CONFIG)),),
    (
        groups.ENVIRONMENT,
        "Exit code: 0 every instance arrived, 1 nothing could be attempted, 2 some instance did not arrive.",
    ),
    (Example("keep what was sent and what arrived", "asyncstore demo --keep"),),
)

COMPLETION = Command(
    "completion",
    "print a script that completes asyncstore's words in a shell",
    (SHELL,),
    (Group("options", (opt.HELP,)),),
    examples=(
        Example("bash", "asyncstore completion bash > ~/.local/share/bash-completion/completions/asyncstore"),
        Example("zsh, into a directory of $fpath", "asyncstore completion zsh > ~/.zfunc/_asyncstore"),
        Example("fish", "asyncstore completion fish > ~/.config/fish/completions/asyncstore.fish"),
    ),
)

MAN = Command(
    "man",
    "print the manual page of all commands, for man(1)",
    (),
    (Group("options", (opt.HELP,)),),
    examples=(
        Example("read it", "asyncstore man | man -l -"),
        Example("install it", "asyncstore man > ~/.local/share/man/man1/asyncstore.1"),
    ),
)


class _Commands(Mapping[str, Command]):
    """All commands by their names; a name may have two words.

    Those of ``bench`` are made when one of them is asked for: every other command starts sooner.
    """

    def __init__(self, names: Mapping[str, Command | None]) -> None:
        self._commands = dict(names)

    def __getitem__(self, name: str) -> Command:
        found = self._commands[name]
        if found is None:
            from asyncstore.cli.options.bench_commands import BENCHES

            self._commands |= BENCHES
            found = BENCHES[name]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


COMMANDS = _Commands(
    {
        **{command.name: command for command in (SEND, RESUME, REPORT, CTL, ECHO, SCAN)},
        **dict.fromkeys(("bench", "bench compare", "bench merge")),
        **{command.name: command for command in (SINK, DEMO, COMPLETION, MAN)},
    }
)
"""By their names, in the order of the help."""
