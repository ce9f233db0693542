"""The report for programs: one JSON object. New versions only add fields; docs/journal.md names them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.cli.report.facts import ORDER
from asyncstore.cli.report.words import rfc3339
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.journal.studies import Completeness
from asyncstore.journal.values import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.report.facts import Facts
    from asyncstore.journal.accounts import Run


def name_of(state: State) -> str:
    """The name of a state, as ``result`` of ``send --json``."""
    return state.name.lower()


def line(facts: Facts) -> str:
    """The report as one line of JSON."""
    sums = facts.account
    end = facts.forecast
    fields = {
        "type": "report",
        "journals": facts.journals,
        "found": sums.found,
        **_counts(sums.states),
        "skipped": 0,
        "bytes": {name_of(state): sums.bytes[state] for state in ORDER},
        "attempts": sums.attempts,
        "instances": facts.instances,
        "duplicates": sums.duplicates,
        "conflicts": sums.conflicts,
        "repaired": sums.repaired,
        "repairs": [{"repair": words, "files": count} for words, count in facts.repairs.most_common()],
        "statuses": {f"0x{status:04X}": count for status, count in sorted(sums.statuses.items())},
        "reasons": list(_reasons(facts)),
        "sop_classes": _by("sop_class_uid", "sop_class", sums.sop_classes),
        "transfer_syntaxes": _by("transfer_syntax_uid", "transfer_syntax", sums.transfer_syntaxes),
        "days": [{"date": day, **_counts(counts)} for day, counts in sorted(_keyed(sums.days).items())],
        "studies": {kind.value: facts.studies[kind] for kind in Completeness},
        "migrations": facts.migrations,
        "runs": [_run(run, facts) for run in sums.runs],
        "unfinished_sources": facts.sources,
        "is_running": bool(facts.running),
        "rate": None if facts.speed is None else round(facts.speed.rate, 3),
        "forecast": None
        if end is None
        else {
            "earliest": rfc3339(end.earliest),
            "likely": None if end.likely is None else rfc3339(end.likely),
            "latest": None if end.latest is None else rfc3339(end.latest),
        },
        "exit_code": facts.exit_code,
    }
    return json.dumps(fields, separators=(",", ":"))


def _counts(counts: Counter[State]) -> dict[str, int]:
    return {name_of(state): counts[state] for state in ORDER}


def _keyed(counts: Counter[tuple[str, State]]) -> dict[str, Counter[State]]:
    """The counts of each key by state."""
    keyed: dict[str, Counter[State]] = {}
    for (key, state), count in counts.items():
        keyed.setdefault(key, Counter())[state] += count
    return keyed


def _by(uid: str, name: str, counts: Counter[tuple[str, State]]) -> list[dict[str, object]]:
    keyed = sorted(_keyed(counts).items(), key=lambda item: -item[1].total())
    return [{uid: key or None, name: uid_name(key) if key else None, **_counts(states)} for key, states in keyed]


def _reasons(facts: Facts) -> Iterator[dict[str, object]]:
    for state in ORDER:
        for group in facts.reasons[state]:
            for part in group.parts:
                yield {"result": name_of(state), "reason": part.reason, "files": part.files}


def _run(run: Run, facts: Facts) -> dict[str, object]:
    return {
        "journal": run.journal,
        "run": run.number,
        "version": run.version,
        "began": rfc3339(run.began),
        "ended": rfc3339(run.ended),
        "how": run.how,
        "is_running": run in facts.running,
        "found": run.found,
        "is_walked": run.is_walked,
        "skipped": run.skipped,
        **_counts(run.states),
        "left_failed": run.left[State.FAILED],
        "left_not_sent": run.left[State.NOT_SENT],
    }
