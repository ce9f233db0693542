"""Parse a user's TOML and JSON in bounded time, or raise a ValueError that says why not in one line."""

from __future__ import annotations

import re
from typing import Any

_DEEPEST = 64
"""Most parts of a dotted key: the time of tomllib grows with their square."""
_TOO_DEEP = "it is nested too deeply"


def parsed_toml(content: bytes) -> tuple[dict[str, Any], str]:
    """The table in a TOML file, and its text.

    Raises:
        ValueError: it is not TOML.
    """
    import tomllib

    text = _decoded(content)
    if max(piece.count(".") for piece in re.split("[,=\n]", text)) > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    try:
        return tomllib.loads(text), text
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def parsed_json(content: bytes) -> object:
    """The value in a JSON file.

    Raises:
        ValueError: it is not JSON.
    """
    import json

    try:
        value: object = json.loads(_decoded(content))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return value
