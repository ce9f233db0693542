"""Where a command line begins and ends: pick the command, run it, turn its errors into messages and exit codes.

Rules:

1. A command's module is imported when the command is called. Before that only the tables are imported.
2. A command is ``run(parsed) -> exit code``. Errors of input, options and peers are printed as one line, and a second
   one says what to do. There is no traceback.
3. If the reader of standard output has gone, the command ends quietly. Ctrl-C ends it with 130. If standard output
   cannot be written for another reason, that is an error like any other. So are a removed working directory, short
   memory, and too few file descriptors.
4. Closed standard streams are opened on the null device before any other file, so that no file or socket gets their
   numbers.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from asyncstore.cli.exits import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_NOT_ATTEMPTED, EXIT_OK
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import tls_rows as tls_opt
from asyncstore.cli.options.command_table import COMMANDS, RESUME, SCAN, SEND
from asyncstore.cli.options.grammar import check, tokenize, without_secret
from asyncstore.cli.options.kinds import Secret
from asyncstore.cli.options.suggestions import closest, did_you_mean
from asyncstore.cli.options.table import VARIABLES
from asyncstore.cli.standard_output import discard, put
from asyncstore.errors import AsyncstoreError, UsageError, WriteFailed
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

    from asyncstore.cli.options.grammar import Layer, Tokens
    from asyncstore.cli.options.table import Command, Parsed


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: the words after the program's name; those of this process by default.
    """
    _prepare_streams()
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _complete(words[1:]) if words[:1] == ["__complete"] else _program(words)
        put()
    except BrokenPipeError:
        discard(sys.stdout)
        return EXIT_BROKEN_PIPE
    except WriteFailed as error:  # of standard output, outside of a command
        _say(f"asyncstore: {error}", sys.stderr)
        return EXIT_NOT_ATTEMPTED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (OSError, MemoryError, ExceptionGroup) as error:
        complaint = _about_this_process(error)
        if complaint is None:
            raise
        _say(f"asyncstore: {complaint}", sys.stderr)
        return EXIT_NOT_ATTEMPTED
    finally:
        _empty(sys.stderr)
    return code


def _about_this_process(error: Exception) -> str | None:
    """What is wrong with the surroundings of this process; ``None`` if the error tells of something else."""
    if isinstance(error, ExceptionGroup):  # of the tasks of a run
        return next(filter(None, map(_about_this_process, error.exceptions)), None)
    if isinstance(error, MemoryError):
        return f"memory is short; use fewer {opt.ASSOCIATIONS.long}, or let the process have more (ulimit -v)"
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return "too many open files; ulimit -n sets how many a process may have"
    if isinstance(error, FileNotFoundError) and error.filename is None:  # only os.getcwd() names no file
        return "the working directory has been removed; change to another one"
    return None


def _program(words: Sequence[str]) -> int:
    """Run ``asyncstore``: its own options, or one of its commands."""
    if not words:
        _print_help(None, sys.stderr)
        return EXIT_NOT_ATTEMPTED
    name, *rest = words
    if name == "help" and rest and rest[0] in COMMANDS:
        return _command(_named(rest)[0], ["--help"])
    if name in ("-h", "--help", "help"):
        _print_help(None, sys.stdout)
        return EXIT_OK
    if name == opt.VERSION.long:
        _print_versions()
        return EXIT_OK
    if name not in COMMANDS:
        _say(f"asyncstore: {_unknown_command(name)}; see asyncstore --help", sys.stderr)
        return EXIT_NOT_ATTEMPTED
    return _command(*_named(words))


def _named(words: Sequence[str]) -> tuple[Command, Sequence[str]]:
    """The command that words begin with, and the rest of them; the name of a command may have two words."""
    pair = " ".join(words[:2])
    return (COMMANDS[pair], words[2:]) if pair in COMMANDS else (COMMANDS[words[0]], words[1:])


def _complete(words: Sequence[str]) -> int:
    """Answer a completion script."""
    from asyncstore.cli.commands.complete import run

    return run(words)


def _command(command: Command, words: Sequence[str]) -> int:
    """Run one command, or print the help or list that its words ask for."""
    if not words and command.parameters:
        _print_help(command, sys.stderr)
        return EXIT_NOT_ATTEMPTED
    if list(words) == [opt.VERSION.long]:  # only send lists it as an option, as storescu does
        return _answer(command, opt.VERSION.long)
    try:
        tokens = tokenize(command, words)
        exit_option = tokens.exit_option()
        if exit_option is not None:
            return _answer(command, exit_option)
        if any(given.row is opt.ARGUMENTS for given in tokens.options):
            _show_arguments(command, tokens)
        parsed, remarks = _checked(command, tokens, os.environ)
    except UsageError as error:
        advice = " ".join(getattr(error, "__notes__", ())) or f"see {command.program} --help"
        _say(f"{command.program}: {printable(str(error))}; {advice}", sys.stderr)
        return EXIT_NOT_ATTEMPTED
    if opt.QUIET not in parsed:
        for remark in (*remarks, *_unread_variables()):
            _say(f"W: {printable(remark)}", sys.stderr)
    if command is RESUME:
        return _resume(parsed)
    _forget_secrets()
    return _run(command, parsed)


def _resume(parsed: Parsed) -> int:
    """Run the command that a journal has recorded."""
    from asyncstore.cli.commands.resume import recorded

    try:
        words = recorded(parsed)
    except AsyncstoreError as error:
        _complain(RESUME, error)
        return EXIT_NOT_ATTEMPTED
    return _command(SEND, words)


def _checked(command: Command, tokens: Tokens, environment: Mapping[str, str]) -> tuple[Parsed, Sequence[str]]:
    """The values of a command line, and warnings about configuration files.

    Raises:
        UsageError: it is not valid, or a file cannot be used.
    """
    layers, remarks = _from_files(command, tokens, environment)
    parsed = check(command, tokens, environment, layers)
    if layers:
        kept = dict(environment)  # secrets are removed from the other one
        parsed.read_again = lambda: _checked_again(command, tokens, kept)
    return parsed, remarks


def _checked_again(command: Command, tokens: Tokens, environment: Mapping[str, str]) -> tuple[Parsed, Sequence[str]]:
    """The same while a run goes on, which no pipe may block.

    Raises:
        UsageError: a file cannot be used any more.
    """
    named = [given.words[0] for given in tokens.options if given.row.long == opt.CONFIG.long]
    path = named[-1] if named else environment.get(opt.CONFIG.variable)
    if path and os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{path}: it is no plain file, so it cannot be read again")
    return _checked(command, tokens, environment)


def _from_files(
    command: Command, tokens: Tokens, environment: Mapping[str, str]
) -> tuple[Sequence[Layer], Sequence[str]]:
    """What configuration files say, and warnings about them; files are read only if the command line asks for it."""
    asking = any(given.row.long in (opt.CONFIG.long, opt.NAMED_PEER.long) for given in tokens.options)
    if not _has_config(command) or not (asking or environment.get(opt.CONFIG.variable)):
        return (), ()
    from asyncstore.cli.options.configuration import configured

    return configured(command, filter(_has_config, COMMANDS.values()), tokens, environment)


def _unread_variables() -> Iterator[str]:
    """Warnings about variables with our prefix that no option reads."""
    named = [name for name in os.environ if name.startswith(VARIABLES) and os.environ[name]]
    if not named:
        return
    rows = {row.variable: row for command in COMMANDS.values() for row in command.options()}
    configurable = (row for command in COMMANDS.values() for row in command.options() if row.is_configurable)
    known = {row.variable.removeprefix(VARIABLES) for row in configurable}
    for name in named:
        bare = name.removeprefix(VARIABLES)
        if name in rows and bare not in known:
            yield f"{name}: {rows[name].long} can only stand on the command line"
        elif bare not in known:
            meant = [VARIABLES + each for each in closest(bare, known)]
            yield f"{name}: no option reads this variable{did_you_mean(meant)}"


def _forget_secrets() -> None:
    """Remove the secrets from the environment, which all child processes inherit."""
    for row in SEND.options():  # it has the secrets of all commands
        if isinstance(row.kind, Secret):
            os.environ.pop(row.variable, None)


def _has_config(command: Command) -> bool:
    """Whether a command reads configuration files."""
    return any(row is opt.CONFIG for row in command.options())


def _answer(command: Command, option: str) -> int:
    """Carry out an option that exits, such as ``--help``."""
    if option == opt.VERSION.long:
        _print_versions()
    elif option in (tls_opt.LIST_CIPHERS.long, tls_opt.LIST_PROFILES.long):
        from asyncstore.cli.text.tls_lists import cipher_suite_list, profile_list  # few ask for them

        _say(cipher_suite_list() if option == tls_opt.LIST_CIPHERS.long else profile_list(), sys.stdout)
    else:
        _print_help(command, sys.stdout)
    return EXIT_OK


def _print_versions() -> None:
    """Print our version and those of the libraries."""
    from asyncstore.cli.text.help import version_text
    from asyncstore.network.tls import openssl_version

    _say(f"{version_text()}\n{openssl_version()}", sys.stdout)


def _run(command: Command, parsed: Parsed) -> int:
    """Run one command whose words were parsed, and print its error."""
    try:
        with _worker_ahead(command, parsed):  # it starts while the command's modules are imported
            module = import_module(f"asyncstore.cli.commands.{command.name.replace(' ', '_')}")
            run: Callable[[Parsed], int] = module.run
            return run(parsed)
    except AsyncstoreError as error:
        if opt.QUIET not in parsed:
            _complain(command, error)
        return EXIT_NOT_ATTEMPTED


def _worker_ahead(command: Command, parsed: Parsed) -> AbstractContextManager[None]:
    """A context in which a worker process starts, if the command needs one."""
    if command not in (SEND, SCAN):
        return nullcontext()
    from asyncstore.cli.choices import format_of
    from asyncstore.prepare.start import started_ahead

    return started_ahead(format_of(parsed))


def _complain(command: Command, error: AsyncstoreError) -> None:
    """Print an error, and what to do about it."""
    from asyncstore.cli.text.hints import hint_of

    _say(f"{command.program}: {printable(str(error))}", sys.stderr)
    hint = hint_of(error)
    if hint is not None:
        _say(printable(hint), sys.stderr)


def _show_arguments(command: Command, tokens: Tokens) -> None:
    """Print the words of the command line after command files are expanded, as storescu does."""
    shown = " ".join(f"'{printable(word)}'" for word in tokens.words)
    _say(f"I: calling '{command.program}' with {len(tokens.words)} arguments: {shown}\nI: ", sys.stderr)


def _print_help(command: Command | None, stream: TextIO) -> None:
    """Print the help text of a command, or of the program, as this stream can show it."""
    from asyncstore.cli.text.help import Style, command_help, program_help
    from asyncstore.cli.text.page import width_of

    style, width = Style.of(stream), width_of(stream)
    text = program_help(COMMANDS.values(), style, width) if command is None else command_help(command, style, width)
    _say(text, stream)


def _say(text: str, stream: TextIO) -> None:
    """Write lines. Failures to write to standard error are ignored."""
    if stream is sys.stdout:
        put(text)
        return
    with suppress(OSError):
        stream.write(text + "\n")
        stream.flush()


def _unknown_command(name: str) -> str:
    """The complaint about a word that is no command."""
    shown = without_secret(name) if name.startswith(("-", "+")) else name
    return f"unknown command {shown!r}{did_you_mean(closest(name, COMMANDS))}"


def _prepare_streams() -> None:
    """Make sure that the standard streams exist and can print every file name (rule 4)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as it runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _empty(stream: TextIO) -> None:
    """Flush a stream: if that failed while the interpreter exits, the exit code would be 120."""
    try:
        stream.flush()
    except OSError:
        discard(stream)
