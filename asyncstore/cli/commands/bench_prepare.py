"""What ``bench`` does before it measures: it makes the instances, asks the peer what it takes, and calibrates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.commands.bench_load import kinds_of, most_associations, replay_of, synthetic
from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.errors import AssociationError
from asyncstore.load.calibration import calibrate
from asyncstore.load.from_files import FromFiles
from asyncstore.load.target import Target, contexts_of, probe
from asyncstore.named_tuple import NamedTuple
from asyncstore.network.addresses import address_of
from asyncstore.observe.formatting import counted, format_byte_rate, format_rate, printable
from asyncstore.waiting import WaitingThread

if TYPE_CHECKING:
    import logging

    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.generator import Synthetic
    from asyncstore.load.plan.replay import Replay
    from asyncstore.load.results.document import Calibration, Peer
    from asyncstore.load.values import Source
    from asyncstore.network.opening import AssociationOptions
    from asyncstore.observe.bench_display import BenchDisplay


class Prepared(NamedTuple):
    """What a measurement needs, once the peer has answered."""

    target: Target
    source: Synthetic | FromFiles
    replay: Replay | None
    peer: Peer
    calibration: Calibration | None
    left_out: tuple[str, ...] = ()
    """The names of the kinds that the peer does not accept."""


async def prepare(
    parsed: Parsed, options: AssociationOptions, display: BenchDisplay, logger: logging.Logger
) -> Prepared:
    """Read the files, ask the peer what it takes, make the instances, and calibrate.

    Raises:
        AssociationError: the peer cannot be reached, refuses, or takes nothing of this.
        UsageError: no file can be sent.
    """
    if parsed[bench.PATHS] or parsed[bench.REPLAY] is not None:
        display.status("reading the files ...")
    replay = await WaitingThread("replay").call(replay_of, parsed)
    files = await _from_files(parsed, options, display, logger) if parsed[bench.PATHS] else None
    kinds = files.kinds if files is not None else replay.kinds if replay is not None else kinds_of(parsed)
    target = Target(parsed[opt.PEER], parsed[opt.PORT], options, contexts_of(kinds))
    display.status(f"asking {address_of(target.host, target.port)} what it accepts ...")
    probed = await probe(target)
    taken = [kind for kind in kinds if (kind.sop_class_uid, kind.transfer_syntax_uid) in probed.accepted]
    may_leave_out = files is None and replay is None
    what = "left out" if may_leave_out else "these instances count as failed"
    for (sop_class, transfer_syntax), answer in probed.refusals.items():
        logger.warning("%s: %s, %s: %s", what, uid_name(sop_class), uid_name(transfer_syntax), printable(answer))
    if not taken:
        failure = AssociationError(address_of(target.host, target.port), "it accepts none of the instances")
        failure.add_note(
            f"{bench.MIX.long} chooses other kinds. {cmd.SCAN.program} {cmd.PEER_CHECK.long} asks for files."
        )
        raise failure
    sent = taken if may_leave_out else kinds
    target = target._replace(contexts=contexts_of(sent))
    source = synthetic(sent, parsed[bench.RANDOM_SEED]) if files is None else files
    calibration = None
    if not parsed[bench.NO_CALIBRATE]:
        display.status("measuring how much this machine can send at most ...")
        one = synthetic(sent, None) if files is None else files
        calibration = await _calibrated(one, options, most_associations(parsed), display, logger)
    refused = [kind for kind in kinds if kind not in taken]
    names = [kind.name if files is None else f"{kind.name} in {uid_name(kind.transfer_syntax_uid)}" for kind in refused]
    return Prepared(target, source, replay, probed.peer, calibration, tuple(dict.fromkeys(names)))


async def _from_files(
    parsed: Parsed, options: AssociationOptions, display: BenchDisplay, logger: logging.Logger
) -> FromFiles:
    """The source of the files that are named; they are read in a thread, which an interrupt leaves behind.

    Raises:
        UsageError: none can be sent.
    """
    source = await WaitingThread("files").call(
        FromFiles,
        parsed[bench.PATHS],
        keep_uids=parsed[bench.KEEP_UIDS],
        seed=parsed[bench.RANDOM_SEED],
        may_map=options.tls is None,
    )
    display.log(f"{counted(source.instances, 'instance')} from files, of {counted(len(source.kinds), 'kind')}")
    if source.passed_over:
        first = source.reasons[0]
        logger.warning(
            "%s cannot be sent, such as %s: %s",
            counted(source.passed_over, "file"),
            printable(first.file.path),
            printable(first.reason),
        )
    return source


async def _calibrated(
    source: Source, options: AssociationOptions, associations: int, display: BenchDisplay, logger: logging.Logger
) -> Calibration | None:
    """The limit of this machine; ``None``: it cannot be measured."""
    try:
        reached = await calibrate(source, options, associations)
    except (AssociationError, OSError) as error:
        logger.warning("not calibrated: %s", printable(str(error)))
        return None
    over_tls = " (measured without TLS; with TLS it is less)" if options.tls is not None else ""
    display.log(
        f"this machine sends at most {format_rate(reached.instances_per_second)}, "
        f"{format_byte_rate(reached.bytes_per_second)}{over_tls}"
    )
    return reached
