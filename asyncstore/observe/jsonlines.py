"""A run for machines: JSON objects, one a line, written while the run goes on.

Rules:

1. New versions may add fields. They never rename or remove one or change its meaning.
2. Lines are ASCII. Bytes of a path that are not UTF-8 become lone surrogates, as in Python: ``json.loads`` and
   :func:`os.fsencode` give back the exact name.
3. Every batch is written as a whole: a reader never waits for half a line.
4. ``time`` is when the line was written: the outcomes of a batch have the same one, some 20 ms after the response.
5. If writing fails (closed pipe, full disk), that is reported once and the run goes on without these lines. The record
   is incomplete then, except if the reader closed its pipe: it has read what it wanted.
"""

from __future__ import annotations

import io
import json
import select
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from time import gmtime, strftime, time_ns
from typing import TYPE_CHECKING

from asyncstore.model import Limit
from asyncstore.named_files import private
from asyncstore.observe.formatting import printable
from asyncstore.observe.results import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from asyncstore.model import Outcome, Result
    from asyncstore.observe.tally import Tally

_STANDARD_OUTPUT = 1
"""Its file descriptor."""


class JsonLines:
    """Writes the JSON lines of a run; a context manager that closes the stream.

    Args:
        stream: where to write; unbuffered, so that Python does not retry failed writes at exit.
        name: the name of the stream in messages.
        on_failure: called once, with a sentence that says why nothing more is written.

    Attributes:
        failure: that sentence, once writing has failed.
        is_incomplete: whether writing failed although the reader was still there.
    """

    def __init__(self, stream: io.RawIOBase, name: str, on_failure: Callable[[str], None]) -> None:
        self.failure: str | None = None
        self.is_incomplete = False
        self._stream = stream
        self._name = name
        self._on_failure = on_failure

    @classmethod
    def open(cls, target: str | None, on_failure: Callable[[str], None]) -> Self:
        """Write to a file, which is replaced, or to standard output (``None``). Only the owner may read a new file.

        Raises:
            OSError: the file cannot be opened.
        """
        if target is None:
            return cls(io.FileIO(_STANDARD_OUTPUT, "w", closefd=False), "standard output", on_failure)
        return cls(io.FileIO(target, "w", opener=private), target, on_failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, peer: str, port: int, version: str) -> None:
        """Write the line that begins a run."""
        self._write_object({"type": "start", "time": _now(), "peer": peer, "port": port, "version": version})

    def outcomes(self, batch: Sequence[Outcome], replaces: Result | None = None) -> None:
        """Write a line for each outcome.

        Args:
            batch: the outcomes.
            replaces: the result that these files had before, if they end anew: lines then have ``replaces``.
        """
        if self.failure is not None:
            return
        now = _now()
        lines = [_outcome_line(outcome, now) for outcome in batch]
        if replaces is not None:
            lines = [f'{line[:-2]},"replaces":"{replaces}"}}\n' for line in lines]
        self._write("".join(lines))

    def peer(self, state: str, reason: str | None, seconds: float | None) -> None:
        """Write a line that the peer is down or works again.

        Args:
            state: ``down`` or ``up``.
            reason: why it is down.
            seconds: how long the run waits for it (``None``: for ever), or how long it was down.
        """
        name = "seconds_left" if state == "down" else "seconds"
        rounded = None if seconds is None else round(seconds, 3)
        self._write_object({"type": "peer", "time": _now(), "state": state, "error": reason, name: rounded})

    def rate(self, limit: Limit | None) -> None:
        """Write a line that other limits hold from now on; ``None``: there are none."""
        limit = limit or Limit(None, None)
        echo = limit.echo_seconds
        self._write_object(
            {
                "type": "rate",
                "time": _now(),
                "bytes_per_second": limit.bytes_per_second,
                "stores_per_second": limit.stores_per_second,
                "paused": limit.is_paused,
                "until": None if limit.until is None else _instant(limit.until),
                "share": round(limit.share, 4),
                "echo_seconds": None if echo is None else round(echo, 6),
            }
        )

    def not_found(self, uid: str) -> None:
        """Write a line for a UID of a list that the catalogue does not have."""
        if self.failure is None:
            self._write_object({"type": "not_found", "time": _now(), "uid": uid})

    def summary(self, tally: Tally, seconds: float, exit_code: int, not_found: int | None = None) -> None:
        """Write the line that ends a run. There is ``not_found`` if a list said what to send."""
        self._write_object(
            {
                "type": "summary",
                "time": _now(),
                **tally.by_result(),
                "bytes": tally.bytes,
                "seconds": round(seconds, 6),
                "exit_code": exit_code,
                "retries": tally.retries,
                "repeated_sop_instance_uids": None if tally.repeats is None else tally.repeats.count(),
                "withdrawn": tally.withdrawn,
                **({} if not_found is None else {"not_found": not_found}),
            }
        )

    def close(self) -> None:
        """Close the file; standard output stays open."""
        try:
            self._stream.close()
        except OSError as error:  # some network file systems report a full disk only now
            self._fail(error)

    def _write_object(self, fields: dict[str, str | int | float | None]) -> None:
        self._write(f"{json.dumps(fields, separators=(',', ':'))}\n")

    def _write(self, text: str) -> None:
        if self.failure is not None:
            return
        rest = memoryview(text.encode("ascii"))
        try:
            while rest:
                written = self._stream.write(rest)
                if written is None:  # another process made this pipe non-blocking
                    select.select((), (self._stream,), ())
                else:
                    rest = rest[written:]
        except (OSError, ValueError) as error:  # a closed stream raises ValueError
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            self.is_incomplete = not isinstance(error, BrokenPipeError)
            cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.failure = (
                f"{printable(self._name)}: {cause}; no more JSON lines are written to it, the transfer goes on"
            )
            self._on_failure(self.failure)


_UNKNOWN = None, None, None
"""The UIDs where no instance was found."""


def _now() -> str:
    """The time as RFC 3339 has it, in UTC, with milliseconds."""
    seconds, rest = divmod(time_ns(), 1_000_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{rest // 1_000_000:03d}Z"


def _instant(seconds: float) -> str:
    """An instant in seconds since 1970 in the same way, without fractions."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))


def _outcome_line(outcome: Outcome, now: str) -> str:
    """The line of one outcome, in a third of the time of ``json.dumps``: there may be 16 000 a second."""
    file, result, identity, attempt, size, attempts, error, *_, repairs = outcome
    sop_class, sop_instance, syntax = identity or _UNKNOWN
    association, status, seconds, sent_syntax = None, None, 0.0, None
    more = _repairs(repairs) if repairs else ""
    if attempt is not None:
        association, sop_instance, sent_syntax, seconds, status = attempt
    return (
        f'{{"type":"outcome","time":"{now}","ordinal":{file.ordinal},'
        f'"path":{encode_basestring_ascii(file.path)},"result":"{result}",'
        f'"status":{_status(status)},'
        f'"sop_class_uid":{_common(sop_class)},"sop_instance_uid":{_text(sop_instance)},'
        f'"transfer_syntax_uid":{_common(syntax)},"sent_transfer_syntax_uid":{_common(sent_syntax)},'
        f'"bytes":{size},"seconds":{seconds:.6f},"attempts":{attempts},'
        f'"association":{"null" if association is None else association},"error":{_text(error)}{more}}}\n'
    )


def _text(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def _repairs(flags: int) -> str:
    return f',"repairs":{json.dumps(words_of(flags))}'


@lru_cache(maxsize=1024)
def _common(text: str | None) -> str:
    """Encode a UID that many instances share; there are fewer storage SOP classes and transfer syntaxes than 1024."""
    return _text(text)


@lru_cache(maxsize=1024)
def _status(status: int | None) -> str:
    return "null" if status is None else f'"0x{status:04X}"'
