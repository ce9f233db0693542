"""``asyncstore resume``: repeat the command that a journal recorded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.errors import UsageError
from asyncstore.journal.reading import Reader

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def recorded(parsed: Parsed) -> list[str]:
    """The words of ``send`` that repeat the recorded command. Changes to the directory in which it was given.

    Raises:
        JournalError: the journal cannot be read.
        UsageError: it has no command, or its directory is gone.
    """
    path = os.path.realpath(parsed[cmd.JOURNAL_FILE])
    with Reader(path) as reader:
        command = reader.command
    if command is None:
        error = UsageError(f"the journal {path} has recorded no command: nothing was sent with it")
        error.add_note(f"Send with {cmd.SEND.program} {opt.JOURNAL.long} {path} ...")
        raise error
    try:
        os.chdir(command.directory)
    except OSError as error:
        refusal = UsageError(
            f"the recorded command was given in {command.directory}, which cannot be entered: {error.strerror}"
        )
        refusal.add_note(f"Give the whole command again, with {opt.JOURNAL.long} {path}, or put that directory back.")
        raise refusal from None
    flags = [row.long for row in (opt.RETRY_FAILED, opt.RETRY_NOT_SENT, opt.JOURNAL_ON_NETWORK) if parsed[row]]
    return [opt.JOURNAL.long, path, *flags, *command.words]
