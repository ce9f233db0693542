"""What an attempt means for its file. All results are decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.errors import AssociationAborted
from asyncstore.model import REPAIRS, Attempt, Instance, Outcome, Result, SourceFile, Unsendable
from asyncstore.protocol.status import describe, result_of

if TYPE_CHECKING:
    from asyncstore.errors import AssociationError

_new_tuple = tuple.__new__
_STORED = Result.STORED


def stored(instance: Instance, attempt: Attempt) -> Outcome:
    """The outcome of an instance whose last attempt was answered with success.

    The usual one: it is made without the class, in half the time.
    """
    found = instance.original or instance
    return _new_tuple(
        Outcome,
        (
            instance.file,
            _STORED,
            found.in_file or found.identity,
            attempt,
            instance.payload.length,
            1,
            None,
            False,
            found.details,
            False,
            found.oddities & REPAIRS,
        ),
    )


def of_attempt(instance: Instance, attempt: Attempt, error: AssociationError | Unsendable | None = None) -> Outcome:
    """The outcome of an instance by its last attempt.

    A response decides. Without one the SCP may have the instance or not. It has not got it if the file could not be
    read to its end.
    """
    if attempt.status is not None:
        result = result_of(attempt.status)
        reason = None if result is Result.STORED else describe(attempt.status)
    elif isinstance(error, Unsendable):
        result, reason = Result.NOT_SENT, error.reason
    else:
        result, reason = Result.UNKNOWN, _without_response(error)
    found = instance.found
    return Outcome(
        instance.file,
        result,
        found.in_file or found.identity,
        attempt,
        bytes=instance.payload.length,
        attempts=1,
        reason=reason,
        details=found.details,
        repairs=found.oddities & REPAIRS,
    )


def _without_response(error: AssociationError | None) -> str:
    if error is None:
        return "no response"
    words = error.problem if error.problem.startswith("no response") else f"no response: {error.problem}"
    if not isinstance(error, AssociationAborted):
        return words
    if error.outstanding > 1:
        return f"{words}; the content of one of the files under way may be the cause"
    return f"{words}; the content of this file may be the cause"


def not_sent(instance: Instance, reason: str) -> Outcome:
    """The outcome of an instance whose store never began."""
    found = instance.found
    identity = found.in_file or found.identity
    return Outcome(
        found.file, Result.NOT_SENT, identity, bytes=found.payload.length, reason=reason, details=found.details
    )


def withdrawn(instance: Instance, reason: str) -> Outcome:
    """The outcome of an instance whose turn never came: the run ended, for ``reason``."""
    return not_sent(instance, reason)._replace(is_withdrawn=True)


def of_unsendable(unsendable: Unsendable) -> Outcome:
    """The outcome of a file that cannot be sent."""
    return Outcome(unsendable.file, Result.NOT_SENT, reason=unsendable.reason, details=unsendable.details)


def unprobed(found: SourceFile | Instance | Unsendable, reason: str) -> Outcome:
    """The outcome of a file that the dispatcher never got: the run ended, for ``reason``."""
    file = found if isinstance(found, SourceFile) else found.file
    return Outcome(file, Result.NOT_SENT, reason=reason, is_withdrawn=True)
