"""``-lc``: log4cplus's property files and Python's dictConfig."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

import asyncstore
from asyncstore.cli.logging.log4cplus import dictionary, loggers_of
from asyncstore.cli.logging.log_config import logging_as
from asyncstore.cli.logging.log_layouts import PatternLayout, SimpleLayout
from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import parse
from asyncstore.cli.text.hints import hint_of
from asyncstore.errors import UsageError
from support.peers.programs import find_program

pytestmark = pytest.mark.filterwarnings("always")

SHIPPED = [Path("/etc/dcmtk/logger.cfg"), Path("/etc/dcmtk/filelog.cfg")]
"""What Debian's package of DCMTK installs."""
CONSOLE = """
log4cplus.appender.console = log4cplus::ConsoleAppender
log4cplus.appender.console.logToStdErr = true
log4cplus.appender.console.layout = log4cplus::PatternLayout
log4cplus.appender.console.layout.ConversionPattern = %p %c: %m%n
"""


FILES = (
    "logging.FileHandler",
    "logging.handlers.WatchedFileHandler",
    "logging.handlers.RotatingFileHandler",
    "logging.handlers.TimedRotatingFileHandler",
)
SAFE = ("logging.StreamHandler", "logging.NullHandler", *FILES, "logging.handlers.SysLogHandler")
UNSAFE = (
    "logging.handlers.HTTPHandler",
    "logging.handlers.SMTPHandler",
    "logging.handlers.SocketHandler",
    "logging.handlers.DatagramHandler",
    "logging.handlers.QueueHandler",
    "logging.handlers.MemoryHandler",
    "logging.Handler",
    "logging.config.dictConfig",
    "StreamHandler",
    "os.system",
    "hostile.Act",
)
HOSTILE = (
    'handler "()": "hostile.act"',
    'handler "class": "hostile.Act"',
    'handler "filters": ["ext://hostile.act"]',
    'handler "level": "ext://hostile.act"',
    'handler "encoding": "cfg://handlers"',
    'handler "namer": "hostile.act"',
    'handler ".": {"terminator": "x"}',
    'handler "mode": "r"',
    'handler "class": "logging.StreamHandler", "stream": "ext://hostile.act"',
    'handler "class": "logging.handlers.RotatingFileHandler", "backupCount": 1000000000000',
    'formatter "()": "hostile.act"',
    'formatter "class": "hostile.Act"',
    'formatter "class": "logging.BufferingFormatter"',
    'formatter "datefmt": "ext://hostile.act"',
    'formatter "defaults": {"a": "ext://hostile.act"}',
    'formatter "defaults": {"a": []}',
    'filter "()": "hostile.act"',
    'filter "name": "ext://hostile.act"',
    'filter "class": "hostile.Act"',
    'root "level": "cfg://handlers"',
    'root "x": {"()": "hostile.act"}',
    'top "x": [["ext://hostile.act"]]',
    'top "version": "ext://hostile.act"',
)
"""What a hostile file adds, and to which table of it."""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a file in an own working directory; its path."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="log.cfg"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def shown(path, *options, program="storescu"):
    """What is written to where the command's own lines go."""
    stream = io.StringIO()
    line = parse(SEND, ("-lc", str(path), *options, "localhost", "104", "file"), {})
    with logging_to(logging.StreamHandler(stream), line, program) as logger:
        for level in (50, 40, 30, 20, 10, 5):
            logger.log(level, "at %d", level)
        logging.getLogger("asyncstore.network.association").info("of the network")
        logging.getLogger("asyncstore.negotiation").info("a context")
        logging.getLogger("pydicom").warning("PatientName is Doe^Jane")
        warnings.warn("PatientName is Doe^John", stacklevel=1)
    return stream.getvalue().splitlines()


def refusal(path):
    with pytest.raises(UsageError) as caught:
        shown(path)
    return str(caught.value)


class TestProperties:
    @pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.name)
    def test_the_files_of_debian_work(self, file, shipped):
        if not shipped.exists():
            pytest.skip(f"{shipped} is not installed: apt install dcmtk")
        lines = shown(file(shipped.read_text()))
        assert re.fullmatch(r"\d\d:\d\d:\d\d FATAL: at 50", lines[0])
        assert [line.split()[1] for line in lines] == (
            ["FATAL:", "ERROR:"]
            if shipped.name == "filelog.cfg"
            else ["FATAL:", "ERROR:", "WARN:", "INFO:", "INFO:", "INFO:"]
        )
        logged = Path("storescu.log").read_text().splitlines()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} FATAL( - cli     )?(:| -) at 50", logged[0])
        assert logged[4].endswith("at 10")

    def test_loggers_of_dcmtk_configure_ours(self, file):
        path = file(
            f"log4cplus.rootLogger = WARN, console\nlog4cplus.logger.dcmtk.dcmnet = INFO\n"
            f"log4cplus.logger.dcmtk.apps.storescu.progress = TRACE\nlog4cplus.logger.dcmtk.dcmjpeg = TRACE\n{CONSOLE}"
        )
        lines = shown(path)
        assert lines[-1] == "INFO asyncstore.network.association: of the network"
        assert lines[:-1] == [f"{name} asyncstore.cli: at {level}" for name, level in
                              (("FATAL", 50), ("ERROR", 40), ("WARN", 30))]  # fmt: skip

    def test_what_silences_storescu_silences_all_we_write(self, file):
        """Nearly all that storescu writes comes from its own logger, of associations as well."""
        rest = f"log4cplus.rootLogger = DEBUG, console\n{CONSOLE}"
        path = file(f"log4cplus.logger.dcmtk.apps.storescu = ERROR\n{rest}")
        assert shown(path) == ["FATAL asyncstore.cli: at 50", "ERROR asyncstore.cli: at 40"]
        path = file(f"log4cplus.logger.dcmtk.apps.storescu = FATAL\nlog4cplus.logger.dcmtk.dcmnet = INFO\n{rest}")
        assert shown(path)[1:] == ["INFO asyncstore.network.association: of the network"]
        path = file(f"log4cplus.logger.dcmtk.apps = FATAL\nlog4cplus.logger.dcmtk.apps.storescu = WARN\n{rest}")
        assert len(shown(path)) == 3

    def test_the_loggers_of_other_programs_configure_nothing(self, file):
        rest = f"log4cplus.rootLogger = INFO, console\n{CONSOLE}"
        path = file(f"log4cplus.logger.dcmtk.apps.echoscu = FATAL\nlog4cplus.logger.dcmtk.dcmjpeg = FATAL\n{rest}")
        assert len(shown(path)) == 5
        assert len(shown(path, program="echoscu")) == 1

    def test_every_logger_that_stands_for_one_of_dcmtks_is_written_to(self):
        sources = Path(asyncstore.__file__).parent
        modules = [path for path in sources.rglob("*.py") if "getLogger(__name__)" in path.read_text()]
        written = ["asyncstore." + ".".join(path.relative_to(sources).with_suffix("").parts) for path in modules]
        written.append("asyncstore.negotiation")  # the association writes to it
        ours = {name for names in loggers_of("storescu").values() for name in names}
        assert not {name for name in ours if not any(f"{one}.".startswith(f"{name}.") for one in written)}
        covered = loggers_of("storescu")["dcmtk.apps.storescu"]
        assert not {one for one in written if not any(f"{one}.".startswith(f"{name}.") for name in covered)}

    def test_our_own_go_by_their_names_and_keep_to_themselves(self, file):
        path = file(
            f"log4cplus.rootLogger = ERROR, console\nlog4cplus.logger.asyncstore.network = INHERITED, quiet\n"
            f"log4cplus.additivity.asyncstore.network = false\n"
            f"log4cplus.appender.quiet = log4cplus::NullAppender\nlog4cplus.logger.asyncstore.cli = FATAL\n{CONSOLE}"
        )
        assert shown(path) == ["FATAL asyncstore.cli: at 50"]

    def test_a_threshold_and_filters_hold_back(self, file):
        path = file(
            f"log4cplus.rootLogger = TRACE, console\n{CONSOLE}log4cplus.appender.console.Threshold = INFO\n"
            "log4cplus.appender.console.filters.1 = log4cplus::spi::LogLevelRangeFilter\n"
            "log4cplus.appender.console.filters.1.LogLevelMin = WARN\n"
            "log4cplus.appender.console.filters.1.LogLevelMax = ERROR\n"
            "log4cplus.appender.console.filters.1.AcceptOnMatch = true\n"
            "log4cplus.appender.console.filters.2 = log4cplus::spi::DenyAllFilter\n"
        )
        assert [line for line in shown(path) if "asyncstore.cli" in line] == [
            "ERROR asyncstore.cli: at 40",
            "WARN asyncstore.cli: at 30",
        ]

    def test_variables_that_stand_for_too_much_are_refused_at_once(self, file):
        lines = [f"x{number} = {f'${{x{number + 1}}}' * 10}" for number in range(9)]
        path = file("\n".join([*lines, "log4cplus.rootLogger = ${x0}"]))
        assert refusal(path) == f"{path}: its variables stand for more than 262144 characters"

    def test_variables_are_replaced(self, file, monkeypatch):
        monkeypatch.setenv("WHERE", "deep")
        path = file(
            "where = ${WHERE}/${appname}\nlog4cplus.rootLogger = INFO, f\n"
            "log4cplus.appender.f = log4cplus::FileAppender\nlog4cplus.appender.f.File = ${where}-${absent}.log\n"
        )
        Path("deep").mkdir()
        assert not shown(path)
        assert Path("deep/storescu-${absent}.log").read_text().splitlines()[0] == "FATAL - at 50"

    @pytest.mark.parametrize(
        ("appender", "lines"),
        [
            ("FileAppender", 1),
            ("FileAppender\nlog4cplus.appender.f.Append = true", 2),
            ("RollingFileAppender\nlog4cplus.appender.f.MaxFileSize = 5MB", 2),
            ("DailyRollingFileAppender\nlog4cplus.appender.f.Schedule = weekly", 2),
        ],
    )
    def test_files_are_replaced_or_continued_as_log4cplus_does(self, file, appender, lines):
        path = file(
            f"log4cplus.rootLogger = FATAL, f\nlog4cplus.appender.f = log4cplus::{appender}\n"
            "log4cplus.appender.f.File = out.log\n"
        )
        assert not shown(path)
        assert not shown(path)
        assert len(Path("out.log").read_text().splitlines()) == lines

    def test_a_pattern_layout_without_a_pattern_is_a_simple_one_with_a_warning(self, file):
        """As with log4cplus, which complains and takes that one."""
        text = f"log4cplus.rootLogger = WARN, console\n{CONSOLE}"
        path = file("\n".join(line for line in text.splitlines() if "ConversionPattern" not in line))
        warning, *lines = shown(path)
        place = f"{path}:5: log4cplus.appender.console.layout"
        assert warning == f"WARN - {place}: it has no ConversionPattern, so SimpleLayout stands for it"
        assert lines == ["FATAL - at 50", "ERROR - at 40", "WARN - at 30"]

    @pytest.mark.parametrize("kind", ["FileAppender", "RollingFileAppender", "DailyRollingFileAppender"])
    def test_a_log_file_that_cannot_be_written_is_named_with_what_to_do(self, file, kind):
        path = file(
            f"log4cplus.rootLogger = INFO, f\nlog4cplus.appender.f = log4cplus::{kind}\n"
            "log4cplus.appender.f.File = /nowhere/x.log\n"
        )
        with pytest.raises(UsageError) as caught:
            shown(path)
        place = f"{path}:3: log4cplus.appender.f.File"
        assert str(caught.value) == f"{place}: cannot write the log file /nowhere/x.log: No such file or directory"
        assert hint_of(caught.value).endswith(f"or change line 3 of {path}.")

    def test_a_file_is_rolled_at_its_size(self, file):
        path = file(
            "log4cplus.rootLogger = FATAL, f\nlog4cplus.appender.f = log4cplus::RollingFileAppender\n"
            "log4cplus.appender.f.File = out.log\nlog4cplus.appender.f.MaxFileSize = 1KB\n"
            "log4cplus.appender.f.MaxBackupIndex = 2\n"
        )
        Path("out.log").write_text("x" * 200 * 1024)
        shown(path)
        assert Path("out.log.1").stat().st_size == 200 * 1024
        assert Path("out.log").read_text() == "FATAL - at 50\n"

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ("rootLogger = LOUD, console", "rootLogger: 'LOUD' is none of the levels fatal, error"),
            ("rootLogger = INFO, printer", "rootLogger: there is no appender printer"),
            ("appender.f = log4cplus::SysLogAppender", "appender.f: log4cplus::SysLogAppender is not among"),
            ("appender.f = log4cplus::FileAppender", "appender.f: log4cplus.appender.f.File is missing"),
            ("appender.console.layout = log4cplus::XLayout", "appender.console.layout: the layout is neither"),
            ("appender.console.layout.ConversionPattern = %Z", "ConversionPattern: %Z is none of the conversions"),
            ("appender.console.layout.ConversionPattern = %1000m", "ConversionPattern: %1000m is wider than 999"),
            ("appender.console.layout.ConversionPattern = %.99999999m", "ConversionPattern: %.99999999m is wider"),
            ("appender.console.layout.ConversionPattern = 9%", "ConversionPattern: '%' is no conversion"),
            ("appender.console.logToStdErr = yes", "logToStdErr: 'yes' is neither true nor false"),
            ("appender.console.filters.1 = X", "filters.1: X is not among the filters"),
        ],
    )
    def test_what_cannot_be_done_is_named_with_file_line_and_key(self, file, setting, said):
        path = file(f"log4cplus.rootLogger = INFO, console\n{CONSOLE}log4cplus.{setting}\n")
        number = 7
        assert re.match(rf"{re.escape(path)}:{number}: (log4cplus\..*)?{re.escape(said)}", refusal(path))

    @pytest.mark.parametrize("number", ["1001", "9" * 5000, "-1", "x"])
    def test_old_files_are_as_many_as_can_be_renamed(self, file, number):
        path = file(
            "log4cplus.rootLogger = INFO, f\nlog4cplus.appender.f = log4cplus::RollingFileAppender\n"
            f"log4cplus.appender.f.File = out.log\nlog4cplus.appender.f.MaxBackupIndex = {number}\n"
        )
        said = f"{path}:4: log4cplus.appender.f.MaxBackupIndex: {number!r} is not a number up to 1000"
        assert refusal(path) == said

    def test_a_file_without_a_root_is_refused_as_by_storescu(self, file):
        path = file("# nothing")
        assert refusal(path) == f"{path}: log4cplus.rootLogger is missing, so nothing would be logged"
        assert refusal("/nowhere") == "/nowhere: cannot read the log configuration: No such file or directory"


class TestLayouts:
    PATTERNS = (
        "%p|%P|%5p|%-6p|%.2p|%m%n",
        "%c|%c{1}|%c{2}|%-30c|%10.4c|%m%n",
        "%%|%h|%D{%Y-%m}|%x|%X{a}|100%%%n",
        "%D{%d.%m.%Y} %5P: %m%n",
    )

    @pytest.mark.peers
    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_lines_are_those_of_the_real_program(self, file, pattern):
        path = file(f"log4cplus.rootLogger = FATAL, console\n{CONSOLE}".replace("%p %c: %m%n", pattern))
        words = [find_program("storescu", "dcmtk"), "-lc", path, "localhost", "104", "/nowhere/file"]
        theirs = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stderr
        record = logging.makeLogRecord(
            {"name": "dcmtk.apps.storescu", "levelno": logging.CRITICAL, "msg": "cannot access file: /nowhere/file"}
        )
        assert f"{PatternLayout(pattern).format(record)}\n" == theirs

    def test_each_line_of_a_message_is_laid_out_by_itself(self):
        record = logging.makeLogRecord({"name": "n", "levelno": logging.INFO, "msg": "a\nb"})
        assert PatternLayout("%p: %m%n").format(record) == "INFO: a\nINFO: b"
        assert SimpleLayout().format(record) == "INFO - a\nb"

    def test_milliseconds(self):
        record = logging.makeLogRecord({"msg": "", "levelno": logging.INFO, "created": 0.123456})
        assert PatternLayout("%d{%S.%q} %d{%Q}").format(record) == "00.123 123.456"


class TestDictConfig:
    TOML = """
        version = 1
        [formatters.short]
        format = "%(levelname)s %(message)s"
        [handlers.out]
        class = "logging.StreamHandler"
        formatter = "short"
        [root]
        level = "INFO"
        handlers = ["out"]
    """
    JSON = (
        '{"version": 1, "formatters": {"short": {"format": "%(levelname)s %(message)s"}}, "handlers": {"out": '
        '{"class": "logging.StreamHandler", "formatter": "short"}}, "root": {"level": "INFO", "handlers": ["out"]}}'
    )

    @pytest.mark.parametrize(("name", "text"), [("a.toml", TOML), ("a.json", JSON)])
    def test_it_is_taken_from_toml_and_json(self, file, name, text):
        lines = ["CRITICAL at 50", "ERROR at 40", "WARNING at 30", "INFO at 20", "INFO of the network"]
        assert shown(file(text, name)) == lines
        assert shown(file(text, name), "+v") == [*lines, "INFO a context"]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("a.toml", "x = = 1", "the log configuration is not TOML: Invalid value (at line 1, column 5)"),
            ("a.json", "{", "the log configuration is not JSON: Expecting property name"),
            ("a.json", "[]", "the log configuration is no table of Python's dictConfig"),
            ("a.json", '{"loggers": 5}', "loggers is no table"),
            ("a.json", '{"handlers": {"h": "file"}}', "handlers.h is no table"),
            ("a.toml", 'root = "x"', "root is no table"),
            ("a.toml", '[handler.x]\nclass = "logging.NullHandler"', "unknown key 'handler'; there are "),
            ("a.toml", '[root]\nhandlers = ["x"]', "Unable to configure root logger"),
            ("a.toml", '[handlers.x]\nclass = "no.such.Class"', "handlers.x: class 'no.such.Class' is not allowed; "),
            ("a.json", "[" * 100_000, "the log configuration is not JSON: it is nested too deeply"),
            ("a.toml", "x = " + "[" * 100_000, "the log configuration is not TOML: it is nested too deeply"),
            ("a.toml", ".".join("a" * 100_000), "the log configuration is not TOML: it is nested too deeply"),
            ("a.json", "9" * 5000, "the log configuration is not JSON: "),
            (
                "a.toml",
                '[handlers.x]\nclass = "logging.NullHandler"\nlevel = "LOUD"',
                "Unable to configure handler 'x'",
            ),
        ],
    )
    def test_what_cannot_be_done_is_one_line(self, file, name, text, said):
        path = file(text, name)
        assert refusal(path).startswith(f"{path}: {said}")

    def test_a_log_file_that_cannot_be_written_is_named_with_what_to_do(self, file):
        path = file('[handlers.c]\nclass = "logging.FileHandler"\nfilename = "/nowhere/x.log"', "a.toml")
        with pytest.raises(UsageError) as caught:
            shown(path)
        said = "Unable to configure handler 'c': cannot write the log file /nowhere/x.log: No such file or directory"
        assert str(caught.value) == f"{path}: {said}"
        assert hint_of(caught.value).endswith(f"or name another file in {path}.")

    @pytest.mark.parametrize("name", SAFE)
    def test_the_handlers_that_write_text_may_be_named(self, file, name):
        own = '"filename": "out.log", "delay": true, ' if name in FILES else ""
        path = file(f'{{"handlers": {{"h": {{{own}"class": "{name}"}}}}, "root": {{"handlers": ["h"]}}}}', "a.json")
        shown(path)

    @pytest.mark.parametrize("name", UNSAFE)
    def test_no_other_class_may(self, file, name):
        path = file(f'{{"handlers": {{"h": {{"class": "{name}"}}}}}}', "a.json")
        assert refusal(path) == f"{path}: handlers.h: class {name!r} is not allowed; there are {', '.join(SAFE)}"

    @pytest.mark.parametrize("entry", HOSTILE)
    def test_nothing_in_a_file_is_called_imported_or_looked_up(self, file, monkeypatch, tmp_path, entry):
        """A module that leaves a trace when it is imported, and functions of it that leave another when called."""
        (tmp_path / "hostile.py").write_text(
            "from pathlib import Path\nPath('imported').touch()\ndef act(*_, **__): Path('called').touch()\n"
            "class Act:\n    def __init__(self, *_, **__): act()\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        place, _, what = entry.partition(" ")
        added = json.loads(f"{{{what}}}")
        tables = {
            "handlers": {"h": {"class": "logging.FileHandler", "filename": "out.log"}},
            "formatters": {"f": {"format": "x"}},
            "filters": {"g": {}},
            "root": {"handlers": ["h"]},
        }
        inner = {"top": tables, "root": tables["root"]} | {
            name.removesuffix("s"): entry
            for name in ("handlers", "formatters", "filters")
            for entry in tables[name].values()
        }
        inner[place].update(added)
        path = file(json.dumps(tables), "a.json")
        said = refusal(path)
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["a.json", "hostile.py"]

    def test_lines_for_standard_output_go_there(self, file, capsys):
        settings = self.TOML.replace('formatter = "short"', 'formatter = "short"\nstream = "ext://sys.stdout"')
        assert not shown(file(settings, "a.toml"))
        assert capsys.readouterr().out.startswith("CRITICAL at 50\n")

    @pytest.mark.parametrize(
        ("style", "text", "line"),
        [
            ("%", "%(levelname)-10s|", "CRITICAL  |"),
            ("{", "{levelname:<10}|", "CRITICAL  |"),
            ("$", "$levelname|", "CRITICAL|"),
        ],
    )
    def test_styles_of_formats(self, file, style, text, line):
        settings = self.TOML.replace('"%(levelname)s %(message)s"', f"'{text}'\nstyle = '{style}'")
        assert shown(file(settings, "a.toml"))[0] == line

    @pytest.mark.parametrize(
        ("style", "text", "said"),
        [
            ("%", "%(message)999999999s", "wider than 999 characters"),
            ("%", "%(message)-.1000s", "wider than 999 characters"),
            ("{", "{message:>1000000000}", "wider than 999 characters"),
            ("{", "{message:>{levelno}}", "nothing within them"),
            ("{", "{msg.__class__}", "nothing within them"),
            ("{", "{exc_info[0]}", "nothing within them"),
            ("{", "{message", "Unable to configure formatter 'short'"),
            ("?", "x", "style is none of"),
        ],
    )
    def test_formats_that_do_more_than_write_fields_are_refused(self, file, style, text, said):
        settings = self.TOML.replace('"%(levelname)s %(message)s"', f"'{text}'\nstyle = '{style}'")
        assert said in refusal(file(settings, "a.toml"))

    def test_loggers_that_a_file_disables_are_enabled_afterwards(self, file):
        logger = logging.getLogger("asyncstore.network.association")
        shown(file("disable_existing_loggers = true\n" + self.TOML, "a.toml"))
        assert not logger.disabled

    def test_names_of_patients_need_tracing(self, file):
        assert not [line for line in shown(file(self.TOML.replace("INFO", "DEBUG"), "a.toml")) if "Doe" in line]
        lines = shown(file(self.TOML.replace('"INFO"', "5"), "a.toml"))
        assert any("Doe^Jane" in line for line in lines)
        assert any("Doe^John" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.cfg", "log4cplus.appender.f = log4cplus::FileAppender\n"),
        ("log.cfg", "log4cplus.appender.f = log4cplus::RollingFileAppender\n"),
        *(("log.json", kind) for kind in FILES),
    ],
)
def test_log_files_that_are_made_are_their_owners_alone_and_old_ones_keep_their_mode(file, name, text):
    if name == "log.cfg":
        path = file(f"log4cplus.rootLogger = INFO, f\n{text}log4cplus.appender.f.File = out.log\n", name)
    else:
        path = file(
            f'{{"handlers": {{"h": {{"class": "{text}", "filename": "out.log"}}}}, "root": {{"handlers": ["h"]}}}}',
            name,
        )
    before = os.umask(0)
    try:
        shown(path)
        assert Path("out.log").stat().st_mode & 0o777 == 0o600
        Path("out.log").chmod(0o644)
        shown(path)
        assert Path("out.log").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_log_files_that_rotation_makes_are_their_owners_alone(file):
    path = file(
        '{"handlers": {"h": {"class": "logging.handlers.RotatingFileHandler", "filename": "out.log", "maxBytes": 10, '
        '"backupCount": 2}}, "root": {"handlers": ["h"]}}',
        "log.json",
    )
    before = os.umask(0)
    try:
        shown(path)
    finally:
        os.umask(before)
    modes = {each.name: each.stat().st_mode & 0o777 for each in Path().glob("out.log*")}
    assert modes == {"out.log": 0o600, "out.log.1": 0o600, "out.log.2": 0o600}


def test_contexts_need_a_level_that_shows_them(file):
    path = file(f"log4cplus.rootLogger = ERROR, console\n{CONSOLE}")
    with pytest.raises(UsageError, match="needs a log level of info or below"):
        shown(path, "+v")


def test_afterwards_logging_is_as_it_was(file):
    names = ("", "asyncstore", "asyncstore.network", "asyncstore.negotiation", "pydicom", "py.warnings")
    loggers = [logging.getLogger(name) for name in names]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    shown(file(f"log4cplus.rootLogger = TRACE, console\nlog4cplus.logger.dcmtk.dcmnet = INFO\n{CONSOLE}"))
    assert [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers] == before


@pytest.mark.parametrize("option", ["-v", "-d", "-q", "-ll info"])
def test_it_excludes_levels_as_in_storescu(option):
    with pytest.raises(UsageError, match="--log-config is not allowed with --"):
        parse(SEND, ("-lc", "x", *option.split(), "localhost", "104", "file"), {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "log4cplus.appender.console.layout.ConversionPattern = " + "${" * 500_000,
        "log4cplus.appender.console.layout.ConversionPattern = " + "%D{" * 300_000,
        "log4cplus.logger." + "a." * 500_000 + " = INFO",
        "log4cplus.additivity." + "a." * 500_000 + " = true",
        "".join(f"log4cplus.logger.a{number} = INFO\n" for number in range(30_000)),
    ],
    ids=["variables", "dates", "name", "additivity", "loggers"],
)
def test_a_file_that_would_keep_log4cplus_busy_for_hours_is_refused_or_read_at_once(line):
    with suppress(UsageError):
        dictionary("a.cfg", f"log4cplus.rootLogger = INFO, console{CONSOLE}{line}", "storescu", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "tables",
    [
        {"formatters": {"a": {"format": "%(" * 500_000}}},
        {"loggers": {"a." * 500_000: {}}},
        {"loggers": {f"a{number}": {} for number in range(50_000)}},
    ],
    ids=["fields", "name", "loggers"],
)
def test_tables_that_would_keep_logging_busy_for_hours_are_refused(tmp_path, tables):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(tables))
    with pytest.raises(UsageError), logging_as(str(path), logging.NullHandler(), "storescu"):
        pass


@pytest.mark.parametrize("text", ["%(a%(b)9999d", "%(a)9999d", "%(message)s %((a))9999d", "%(a)-*.12345s"])
def test_fields_that_are_too_wide_are_found_behind_any_name(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"formatters": {"a": {"format": text}}}))
    with pytest.raises(UsageError, match="wider than 999"), logging_as(str(path), logging.NullHandler(), "storescu"):
        pass


def test_a_record_without_a_function_is_laid_out():
    """Programs may make such records themselves."""
    assert PatternLayout("%6M|%m").format(logging.makeLogRecord({"msg": "text"})) == "  None|text"
