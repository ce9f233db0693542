"""Names of phases and groups as the page shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asyncstore.cli.text.uid_names import uid_name

if TYPE_CHECKING:
    from asyncstore.load.results.document import Document, Group

GROUPS = {"modality": "modality", "sop_class": "SOP class", "transfer_syntax": "transfer syntax", "size_class": "size"}
"""The ways in which instances are grouped, and their names."""
_BY_UID = ("sop_class", "transfer_syntax")


def sentence(text: str) -> str:
    """``text`` with a capital letter."""
    return text[:1].upper() + text[1:]


def time_text(text: str) -> str:
    """A time of a document: ``2026-11-28 19:30:00 UTC``."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError):
        return text


def groups(document: Document, way: str) -> list[tuple[str, Group]]:
    """The groups of a way with their names: sizes in order, the others with the most frequent first."""
    found: dict[str, Group] = getattr(document.whole.by, way)
    named = [(uid_name(key) if way in _BY_UID else key, group) for key, group in found.items()]
    if way == "size_class":
        return sorted(named, key=lambda item: item[1].bytes / max(item[1].stored, 1))
    return sorted(named, key=lambda item: -(item[1].stored + item[1].failed))
