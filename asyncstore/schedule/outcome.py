"""What an attempt means for its file. All results are decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.errors import AssociationAborted
from asyncstore.model import Attempt, Instance, Outcome, Result, Unsendable
from asyncstore.protocol.status import describe, result_of

if TYPE_CHECKING:
    from asyncstore.errors import AssociationError


def of_attempt(attempt: Attempt) -> Outcome:
    """The outcome of an instance's last attempt.

    A response decides. Without one the SCP may have the instance or not. It has not got it if the file could not be
    read to its end.
    """
    instance, association, sent_transfer_syntax_uid, seconds, status, error = attempt
    if status is not None:
        result = result_of(status)
        words = None if result is Result.STORED else describe(status)
    elif isinstance(error, Unsendable):
        result, words = Result.NOT_SENT, error.reason
    else:
        result, words = Result.UNKNOWN, _without_response(error)
    found = instance.found
    return Outcome(
        found.path, result, status, instance.sop_class_uid, instance.sop_instance_uid, found.transfer_syntax_uid,
        sent_transfer_syntax_uid, instance.length, seconds, 1, association, words,
    )  # fmt: skip


def _without_response(error: AssociationError | None) -> str:
    if error is None:
        return "no response"
    words = error.problem if error.problem.startswith("no response") else f"no response: {error.problem}"
    if not isinstance(error, AssociationAborted):
        return words
    if error.outstanding > 1:
        return f"{words}; what is in one of the files that were under way may be the cause"
    return f"{words}; what is in this file may be the cause"


def not_sent(instance: Instance, reason: str) -> Outcome:
    """The outcome of an instance whose store never began."""
    path, sop_class_uid, sop_instance_uid, transfer_syntax_uid, _, length, *_ = instance.found
    return Outcome(
        path, Result.NOT_SENT, None, sop_class_uid, sop_instance_uid, transfer_syntax_uid, bytes=length, error=reason
    )


def withdrawn(instance: Instance, reason: str) -> Outcome:
    """The outcome of an instance whose turn never came: the run ended, for ``reason``."""
    return not_sent(instance, reason)._replace(is_withdrawn=True)


def of_unsendable(unsendable: Unsendable) -> Outcome:
    """The outcome of a file that cannot be sent."""
    return Outcome(unsendable.path, Result.NOT_SENT, error=unsendable.reason)
