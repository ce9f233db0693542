"""What the files of a command line hold: probed as for a run, counted by kind, printed as a table.

Rules:

1. The files are walked and probed exactly as in a run; no association is opened. Memory holds an entry for each kind of
   file, however many files there are, and the UIDs in ``repeats``.
2. The peer is assumed to accept the whole proposal. A data set that would have to be converted to a transfer syntax for
   compressed pixel data is read, because it cannot be sent if it has pixel data.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING

from asyncstore.cli.choices import format_of
from asyncstore.cli.commands.forecast import NOT_AT_ALL, Forecaster
from asyncstore.cli.engine import conversion_of, paths_of, walk_of
from asyncstore.cli.exits import EXIT_NOT_ATTEMPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.loop import every
from asyncstore.cli.options import rows as opt
from asyncstore.cli.text.hints import hints_for
from asyncstore.cli.text.page import StatusLine, aligned, broken
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN, REPAIRS, Instance, Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation import Planned, requests
from asyncstore.observe.formatting import counted, format_bytes, format_count, printable
from asyncstore.observe.reasons import Reasons, selection
from asyncstore.observe.repeats import MOST_UIDS, Repeats
from asyncstore.observe.unusual_uids import first_unusual, warning_about
from asyncstore.prepare.converter import Converter, transcoding_of
from asyncstore.prepare.messages import Order
from asyncstore.prepare.pool import Pool
from asyncstore.protocol.associate import MOST_CONTEXTS
from asyncstore.surveying import Survey, all_are, edited, ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from asyncstore.cli.options.table import Parsed
    from asyncstore.model import PairAnswer
    from asyncstore.negotiation import Pair, Proposal
    from asyncstore.observe.reasons import Detail, Group
    from asyncstore.protocol.associate import ProposedContext
    from asyncstore.surveying import Probed

    Measure = Callable[[list[Order]], Awaitable[list[int | None]]]

_PLANNED = Planned()
_MOST_REASONS = 20
"""Most lines of reasons and examples. ``--json`` has them all."""
_FRAME = 0.25
"""Seconds between updates of the count."""


async def look_into(parsed: Parsed, proposal: Proposal = _PLANNED) -> Findings:
    """Probe all files of the command line. On a terminal the count is shown meanwhile."""
    conversion = conversion_of(parsed)
    invents, edit = conversion.invent is not None, conversion.edit
    pool = Pool(parsed[opt.WORKERS], format_of(parsed))
    pool.repairs = conversion.repair
    pool.wants_details = edit is not None and edit.map is not None
    converter = Converter(pool, conversion)
    proposal = proposal.allowing(transcoding_of(conversion))
    forecaster = None if isinstance(proposal, Planned) else Forecaster(proposal, pool, conversion)
    findings = Findings(proposal, forecaster, counts_repeats=not invents, measure=pool.measure)

    def show_count() -> None:
        line.show(f"{counted(findings.instances + findings.unsendable, 'file')} looked into")

    with paths_of(parsed) as paths, count_line(parsed) as line, every(_FRAME, show_count):
        survey = Survey(paths, walk_of(parsed)._replace(repeat=1), pool)
        try:
            async for batch in survey:
                await findings.add(batch if edit is None else await edited(batch, converter))
                if survey.has_members:
                    ended(batch)
        finally:
            survey.close()
            pool.close()
    return findings


def count_line(parsed: Parsed) -> StatusLine:
    """Where the count of files is shown while they are probed."""
    return StatusLine(is_wanted=parsed[opt.PROGRESS] != "off" and not parsed[opt.QUIET])


class Found(NamedTuple):
    """The instances of one pair of SOP class and transfer syntax.

    Attributes:
        pair: the pair, which needs a presentation context.
        instances: how many there are.
        bytes: of their data sets.
        answer: what would happen to them, in words, if that is known.
        is_sendable: whether they can be sent, as far as is known.
        decompressed: bytes of their data sets if they are decompressed; ``None``: they are not compressed, or it is not
            known.
    """

    pair: Pair
    instances: int
    bytes: int
    answer: str | None
    is_sendable: bool
    decompressed: int | None = None


_pair = attrgetter("sop_class_uid", "transfer_syntax_uid")


class Findings:
    """What was found, counted by kind.

    Args:
        proposal: what a run would propose.
        forecaster: forecasts what would happen to instances; ``None``: the report does not say.
        counts_repeats: whether to report SOP instance UIDs that come more than once.
        measure: tells how large data sets are when they are decompressed; ``None``: the report does not say.

    Attributes:
        instances: how many instances were found.
        unsendable: how many files hold nothing that could be sent.
        edited: how many instances would be edited.
        repaired: how many instances would be mended.
        answers: the peer's answer to each pair, if it was asked.
        repeats: the instances whose SOP instance UID came before; ``None``: they are not reported.
    """

    def __init__(
        self,
        proposal: Proposal = _PLANNED,
        forecaster: Forecaster | None = None,
        *,
        counts_repeats: bool = True,
        measure: Measure | None = None,
    ) -> None:
        self.instances = 0
        self.unsendable = 0
        self.edited = self.repaired = 0
        self.answers: Mapping[Pair, PairAnswer] = {}
        self._proposal = proposal
        self._forecaster = forecaster
        self._measure = measure
        self._decompressed: Counter[Pair] = Counter()
        """Bytes of the decompressed data sets of each compressed pair."""
        self._kinds: Counter[tuple[Pair, str | None]] = Counter()
        """The instances of each pair with each answer."""
        self._sizes: Counter[tuple[Pair, str | None]] = Counter()
        """Bytes of their data sets."""
        self._reasons = Reasons()
        self._unusual: Instance | None = None
        """The first instance with an unusual UID."""
        self.repeats = Repeats() if counts_repeats else None

    async def add(self, batch: list[Probed]) -> None:
        """Count a batch of what the survey found."""
        instances = batch if all_are(batch, Instance) else [item for item in batch if isinstance(item, Instance)]
        identities = [instance.identity for instance in instances]
        if self.repeats is not None:
            self.repeats.add([identity.sop_instance_uid for identity in identities], instances)
        if self._unusual is None:
            self._unusual = first_unusual(instances)
        if self._forecaster is None:
            self._count_pairs(list(map(_pair, identities)), instances)
        else:
            for instance, forecast in zip(instances, await self._forecaster.forecasts(instances), strict=True):
                self._count(_pair(instance.identity), forecast.answer, [instance])
                if forecast.reason is not None:
                    self._reasons.add(forecast.reason, instance.path)
        self.repaired += sum(bool(instance.oddities & REPAIRS) for instance in instances)
        self.edited += sum(instance.in_file is not None for instance in instances)
        await self._measure_compressed(instances)
        for item in batch if len(instances) < len(batch) else ():
            if isinstance(item, Unsendable):
                self.unsendable += 1
                self._reasons.add(item.reason, item.path)

    async def _measure_compressed(self, instances: Sequence[Instance]) -> None:
        """Count how large those that could be decompressed would be."""
        if self._measure is None:
            return
        sizes = await decompressed_sizes(instances, self._proposal.transcoding.decodable, self._measure)
        for one in instances if sizes else ():
            if one.ordinal in sizes:
                self._decompressed[_pair(one.identity)] += sizes[one.ordinal]

    def take(self, pair: Pair, instances: int, size: int, decompressed: int | None) -> None:
        """Count instances of a pair that somebody else has counted and measured."""
        if decompressed is not None:
            self._decompressed[pair] += decompressed
        self._add((pair, None), instances, size)

    def take_unsendable(self, reason: str, files: int, example: str) -> None:
        """Count files that cannot be sent for one reason, which somebody else has counted."""
        self.unsendable += files
        self._reasons.add(reason, example, files)

    def _count_pairs(self, pairs: Sequence[Pair], instances: Sequence[Instance]) -> None:
        """Count instances by their pairs. Mostly a batch has one pair, and is counted at once."""
        if len(set(pairs)) == 1:
            self._count(pairs[0], None, instances)
        else:
            for pair, instance in zip(pairs, instances, strict=True):
                self._count(pair, None, [instance])

    def _count(self, pair: Pair, answer: str | None, instances: Sequence[Instance]) -> None:
        self._add((pair, answer), len(instances), sum([instance.payload.length for instance in instances]))

    def _add(self, kind: tuple[Pair, str | None], instances: int, size: int) -> None:
        self.instances += instances
        self._kinds[kind] += instances
        self._sizes[kind] += size

    @property
    def bytes(self) -> int:
        """Bytes of the data sets of all instances."""
        return self._sizes.total()

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that need presentation contexts, the most frequent first."""
        return list(dict.fromkeys(found.pair for found in self.found))

    @property
    def requests(self) -> Sequence[Sequence[ProposedContext]]:
        """The contexts of each association request that is needed to propose them all."""
        return [request.contexts for request in requests(self._proposal, self.pairs)]

    @property
    def found(self) -> list[Found]:
        """The instances by their kinds, the most frequent first."""
        return [self._found(*kind, instances, self._sizes[kind]) for kind, instances in self._kinds.most_common()]

    def _found(self, pair: Pair, answer: str | None, count: int, size: int) -> Found:
        said, is_sendable = self.answers.get(pair), answer != NOT_AT_ALL
        if said is not None:
            answer, is_sendable = said.answer, said.is_accepted
        return Found(pair, count, size, answer, is_sendable, self._decompressed.get(pair))

    @property
    def refused(self) -> list[Detail]:
        """The files that cannot be sent, the most frequent kind of reason first."""
        return [part for group in self._reasons.groups() for part in group.parts]

    @property
    def not_accepted(self) -> list[Found]:
        """The instances that cannot be sent because their pair is not accepted or not proposed."""
        return [found for found in self.found if not found.is_sendable]

    @property
    def sendable(self) -> int:
        """How many instances can be sent, as far as known."""
        return self.instances - sum(found.instances for found in self.not_accepted)

    @property
    def exit_code(self) -> int:
        """The exit code of a command that found this."""
        if not self.instances:
            return EXIT_NOT_ATTEMPTED
        return EXIT_NOT_STORED if self.unsendable or self.not_accepted else EXIT_OK

    def report(self, before: str = "", after: str = "", width: int | None = None) -> Iterator[str]:
        """The lines of the report for a page of this width; the first line stands between ``before`` and ``after``."""
        if not self.instances and not self.unsendable:
            yield "no files were found"
            return
        yield from broken(f"{printable(before)}{self._totals()}{after}", width)
        if self._kinds:
            yield ""
            yield from aligned(self._kind_rows(), width)
            yield ""
            yield from broken(self._contexts(), width)
        if self._unusual is not None:
            yield ""
            yield from broken(warning_about(self._unusual), width)
        for line in self._growth():
            yield from broken(line, width)
        yield from self._repeats(width)
        groups = self._reasons.groups()
        if groups:
            yield ""
            yield f"cannot be sent: {counted(sum(group.files for group in groups), 'file')}"
            yield from aligned(_reason_rows(groups), width)
            for hint in hints_for(refused.reason for refused in self.refused):
                yield from broken(hint, width)

    @property
    def growing(self) -> list[Found]:
        """The instances that are decompressed before they are sent, if that is known."""
        return [found for found in self.found if (found.answer or "").endswith("decompressed")]

    def _growth(self) -> Iterator[str]:
        """How large the instances become that are decompressed; if nobody knows which, how large all would become."""
        is_known = self._forecaster is not None or bool(self.answers)
        growing = self.growing if is_known else [found for found in self.found if found.decompressed is not None]
        if not growing:
            return
        before = format_bytes(sum(one.bytes for one in growing))
        after = format_bytes(sum(one.decompressed or one.bytes for one in growing))
        instances = counted(sum(one.instances for one in growing), "instance")
        yield ""
        if is_known:
            yield f"decompressed before it is sent: {instances}, {before} become {after}"
        else:
            yield f"compressed: {instances}, {before} that become {after} for a peer that takes no compressed ones"

    def _repeats(self, width: int | None) -> Iterator[str]:
        """Which instances have the SOP instance UID of an earlier one."""
        count = self.repeats.count() if self.repeats is not None else 0
        if self.repeats is None or not count:
            return
        known = "" if self.repeats.is_exact else f" among the first {format_count(MOST_UIDS)}"
        have = "instances have" if count > 1 else "instance has"
        what = f"{format_count(count)} {have} the SOP instance UID of an earlier one{known}"
        yield ""
        yield from broken(f"{what}: a peer keeps only one of those that share it", width)
        examples = self.repeats.examples()
        for earlier, path in examples:
            yield f"  {printable(path)} and {printable(earlier)}"
        if count > len(examples):
            yield f"  and {format_count(count - len(examples))} more"

    def _totals(self) -> str:
        """How many instances were found, and how many would be sent if those are fewer."""
        total = counted(self.instances, "instance")
        lost = self.not_accepted if self._forecaster is not None else []
        if not lost:
            return f"{total}, {format_bytes(self.bytes)}"
        size = self.bytes - sum(found.bytes for found in lost)
        return f"{format_count(self.sendable)} of {total}, {format_bytes(size)}"

    def _kind_rows(self) -> list[tuple[str, ...]]:
        """A table: how many instances of which SOP class in which transfer syntax, and what would happen to them."""
        column = ("is sent",) if self._forecaster is not None else ("peer",) if self.answers else ()
        rows: list[tuple[str, ...]] = [("instances", "data", *column, "SOP class", "transfer syntax")]
        for pair, count, size, answer, *_ in self.found:
            said = () if answer is None else (answer,)
            rows.append((format_count(count), format_bytes(size), *said, *map(uid_name, pair)))
        return rows

    def _contexts(self) -> str:
        """How many presentation contexts are needed."""
        asked = self.requests
        proposed = f"{counted(sum(map(len, asked)), 'presentation context')} to propose"
        if self._forecaster is None:
            proposed += ": one for each line, the others to convert into"
        if len(asked) == 1:
            return proposed
        return f"{proposed}; an association takes {MOST_CONTEXTS}, so not every association will carry every file"


async def decompressed_sizes(batch: Iterable[Probed], decodable: Collection[str], measure: Measure) -> dict[int, int]:
    """The bytes of decompressed data sets, by ordinal, for instances in these transfer syntaxes.

    A data set that cannot be measured keeps its size.

    Args:
        batch: what a survey found.
        decodable: the transfer syntaxes that can be decompressed.
        measure: :meth:`asyncstore.prepare.pool.Pool.measure`.

    Raises:
        PrepareError: worker processes cannot be run.
    """
    if not decodable:
        return {}
    compressed = [one for one in batch if isinstance(one, Instance) and one.identity.transfer_syntax_uid in decodable]
    if not compressed:
        return {}
    sizes = await measure([Order(one, EXPLICIT_VR_LITTLE_ENDIAN, one.sop_instance_uid) for one in compressed])
    return {one.ordinal: size or one.payload.length for one, size in zip(compressed, sizes, strict=True)}


def _reason_rows(groups: Sequence[Group]) -> list[tuple[str, ...]]:
    """A table: how many files cannot be sent for which reason, and below each reason its details."""
    rows: list[tuple[str, ...]] = []
    for row in selection(groups, _MOST_REASONS):
        if row.files is None:
            rows[-1] = *rows[-1][:-1], f"such as {printable(row.text)}"
        else:
            indent = "  " if row.is_detail else ""
            rows.append((format_count(row.files), "", f"{indent}{printable(row.text)}", ""))
    return rows
