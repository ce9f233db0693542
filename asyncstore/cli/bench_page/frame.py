"""The frame of a page: its head, its scripts, and what it may load, which is nothing.

Rules:

1. The content security policy allows the scripts of the page by their hashes and no other, no connection and no
   foreign content: a hostile text that was not escaped could still do nothing.
2. The data of the plots stand in the page as JSON, in which ``<`` is escaped: no text ends the element.
3. Only this module imports plotly, which may not be installed.
"""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page import html
from asyncstore.cli.bench_page.html import paragraph, safe
from asyncstore.cli.bench_page.script import SCRIPT
from asyncstore.cli.bench_page.style import DARK, DIM, INK, LINE, PAGE, STYLE
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.cli.bench_page.figures import Plot

_COLOURS = [INK.light, DIM.light, LINE.light, PAGE.light]
"""Of the parts that all plots have."""


def section(title: str, plots: Sequence[Plot], *more: str) -> str:
    """A section: plots below their titles and how to read them, then more; nothing if it is empty.

    The title of a single plot is that of the section.
    """
    if len(plots) == 1:
        return html.section(plots[0].title, _place(plots[0], ""), *more)
    shown = "".join(_place(plot, f"<h3>{safe(plot.title)}</h3>") for plot in plots)
    return html.section(title, f'<div class="plots">{shown}</div>' if plots else "", *more)


def _place(plot: Plot, head: str) -> str:
    name, kind = plot.name, ' class="half"' if plot.is_half else ""
    return (
        f'<figure{kind}>{head}<figcaption class="reading" id="{name}-reading">{safe(plot.reading)}</figcaption>'
        f'<div class="plot" style="height:{plot.height:g}rem" id="{name}" role="img" aria-label="{safe(plot.title)}" '
        f'aria-describedby="{name}-reading"></div></figure>'
    )


def framed(title: str, content: str, plots: Sequence[Plot]) -> str:
    """The whole page.

    Raises:
        UsageError: plotly is not installed.
    """
    data = {
        "plots": [{"name": plot.name, "traces": plot.traces, "layout": plot.layout} for plot in plots],
        "dark": DARK,
        "colours": _COLOURS,
    }
    scripts = (_plotly(), SCRIPT) if plots else ()
    hashes = " ".join(map(_hash, scripts)) or "'none'"
    policy = "; ".join([
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",  # the button that saves a plot as a picture
        f"script-src {hashes}",
        "base-uri 'none'",
        "form-action 'none'",
    ])  # fmt: skip
    tail = "".join(f"<script>{script}</script>\n" for script in scripts)
    shown = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    without = paragraph("The plots need JavaScript; the tables have their numbers.")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{content}\n<noscript>{without}</noscript>\n"
        f'<script type="application/json" id="plots">{shown}</script>\n{tail}</body>\n</html>\n'
    )


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _plotly() -> str:
    """The script of plotly."""
    try:
        from plotly.offline import (  # type: ignore[import-untyped]
            get_plotlyjs,
        )
    except ModuleNotFoundError as error:
        message = f"plots need {error.name}, which is not installed: install asyncstore with its extra report"
        raise UsageError(message) from None
    return str(get_plotlyjs()).replace("</script", "<\\/script").replace("<!--", "<\\!--")
