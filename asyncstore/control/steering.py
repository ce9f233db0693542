"""What can be asked of a run, and the answers.

Rules:

1. A wrong request gets an error for an answer, and changes nothing.
2. A run may consist of several passes, one after the other. What was asked of one holds for the next.
3. No answer holds the name of a file or patient. The key of ``prioritise`` is shown to nobody.
"""

from __future__ import annotations

import json
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from asyncstore.control.status import Paused, status_of
from asyncstore.errors import AsyncstoreError, UsageError
from asyncstore.model import NOT_BEGUN
from asyncstore.observe.formatting import counted, printable
from asyncstore.observe.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncstore.control.status import Facts
    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally

VERSION = 1
BY_REQUEST = "asyncstore ctl"
"""Who paused or stopped a run, in words."""
_MOST_ASSOCIATIONS = 1024
_LONGEST_KEY = 256
"""UIDs and patient IDs have at most 64 characters (PS3.5 6.2), of which each takes up to four bytes."""
_MOST_KEYS = 1000
"""The last ones are remembered for a further pass."""


class Steerable(Protocol):
    """A run, as far as requests need it; :class:`asyncstore.run.Run` is one."""

    def pause(self) -> None:
        """Begin no store until :meth:`resume` is called."""

    def resume(self) -> None:
        """Go on."""

    def set_associations(self, number: int | None) -> None:
        """Have so many associations; ``None``: as many as make the transfer faster."""

    def prioritise(self, key: str) -> int:
        """Send the study or patient with this Study Instance UID or Patient ID first; how many instances wait."""

    def progress(self) -> Progress:
        """The state of the run now."""


class Steering:
    """Answers requests about a run. Its owner samples :attr:`rates`, some times a second.

    Args:
        facts: what stays the same during the run.
        tally: the outcomes so far.
        stop: ends the run as SIGTERM does.
        actions: further requests that this run takes, by name. Each takes the value, and returns in words what was
            done, or raises an :class:`~asyncstore.errors.AsyncstoreError`.
        on_action: called with a line about each request that changed something.
        clock: of the tally.

    Attributes:
        has_new_associations: whether the run was given a number of associations since its start.
    """

    def __init__(
        self,
        facts: Facts,
        tally: Tally,
        *,
        stop: Callable[[], None],
        actions: Mapping[str, Callable[[object], str]] | None = None,
        on_action: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._facts = facts
        self._tally = tally
        self.rates = Rates()
        self._stop = stop
        self._on_action = on_action
        self._clock = clock
        self._run: Steerable | None = None
        self._paused_at: float | None = None
        self._associations = facts.associations
        self.has_new_associations = False
        self._prioritised: deque[str] = deque(maxlen=_MOST_KEYS)
        self._is_stopping = False
        self._actions: dict[str, Callable[[object], str]] = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._end,
            "associations": self._set_associations,
            "prioritise": self._prioritise,
            **(actions or {}),
        }

    def follow(self, run: Steerable) -> None:
        """Requests are about this run from now on; what was asked before holds for it (rule 2)."""
        self._run = run
        if self.has_new_associations:
            run.set_associations(self._associations)
        for key in self._prioritised:
            run.prioritise(key)
        if self._paused_at is not None:
            run.pause()

    def answer(self, line: bytes) -> bytes:
        """The line that answers this line (without its end)."""
        try:
            return _line({"ok": True, **self._answer(line)})
        except AsyncstoreError as error:
            return error_line(str(error))

    def _answer(self, line: bytes) -> dict[str, object]:
        """The fields that answer a line.

        Raises:
            AsyncstoreError: the request cannot be carried out.
        """
        fields = _parsed(line)
        name = fields.get("request")
        if name == "status":
            return {"status": self.status()}
        action = self._actions.get(name) if isinstance(name, str) else None
        if action is None:
            raise UsageError(f"unknown request: known are status, {', '.join(self._actions)}")
        if self._run is None:
            raise UsageError("the run has not begun yet: try again in a moment")
        message = action(fields.get("value"))
        self._on_action(f"{BY_REQUEST}: {message}")
        return {"message": message}

    def status(self) -> dict[str, object]:
        """The state of the run, for programs."""
        now = self._clock()
        paused = None if self._paused_at is None else Paused(BY_REQUEST, now - self._paused_at)
        return status_of(
            self._facts._replace(associations=self._associations),
            self._tally,
            self.rates,
            NOT_BEGUN if self._run is None else self._run.progress(),
            now,
            paused=paused,
            is_stopping=self._is_stopping,
        )

    def stopping(self) -> None:
        """The run was asked to end, in this way or another."""
        self._is_stopping = True

    def set_associations(self, number: int | None) -> None:
        """Let this run and the passes that follow have so many associations; ``None``: auto."""
        self._associations = number
        self.has_new_associations = True
        if self._run is not None:
            self._run.set_associations(number)

    def _pause(self, _: object) -> str:
        if self._is_stopping:
            raise UsageError("the run is ending already")
        if self._paused_at is not None:
            return "the run is paused already"
        self._paused_at = self._clock()
        if self._run is not None:
            self._run.pause()
        return "paused: stores under way finish, nothing new begins until resume"

    def _resume(self, _: object) -> str:
        if self._paused_at is None:
            return "the run is not paused"
        self._paused_at = None
        if self._run is not None:
            self._run.resume()
        return "the run goes on"

    def _end(self, _: object) -> str:
        if self._is_stopping:
            return "the run is ending already"
        self._is_stopping = True
        self._stop()
        return "stopping: files under way are finished, then the run ends"

    def _set_associations(self, value: object) -> str:
        if value is not None and (type(value) is not int or not 1 <= value <= _MOST_ASSOCIATIONS):
            raise UsageError(f"associations: null or a number from 1 to {_MOST_ASSOCIATIONS} is needed")
        number = value if isinstance(value, int) else None
        self.set_associations(number)
        return "associations: auto" if number is None else f"{counted(number, 'association')} from now on"

    def _prioritise(self, value: object) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_KEY:
            raise UsageError(
                f"prioritise: a Study Instance UID or Patient ID of 1 to {_LONGEST_KEY} characters is needed"
            )
        if self._run is None:
            raise UsageError("the run has not begun yet")
        self._prioritised.append(value)
        waiting = self._run.prioritise(value)
        if waiting:
            return f"this study or patient goes first from now on; {counted(waiting, 'instance')} waiting"
        return "this study or patient goes first from now on; no instance of it waits: all are sent, or not found yet"


def _parsed(line: bytes) -> dict[str, object]:
    """The fields of a request.

    Raises:
        UsageError: it is none, or of another version.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("the request is not JSON") from None
    if not isinstance(fields, dict):
        raise UsageError("the request is not an object")
    if fields.get("version") != VERSION:
        raise UsageError(f"only version {VERSION} of the protocol is known")
    return fields


def error_line(clause: str) -> bytes:
    """The answer to a request that cannot be carried out."""
    return _line({"ok": False, "error": printable(clause)})


def request_line(name: str, value: object = None) -> bytes:
    """The line of a request, with its end."""
    return json.dumps({"version": VERSION, "request": name, "value": value}).encode() + b"\n"


def _line(fields: dict[str, object]) -> bytes:
    return json.dumps({"version": VERSION, **fields}, separators=(",", ":")).encode()
