"""The style sheet and the colours of the page, in light and in dark."""

from __future__ import annotations

from asyncstore.named_tuple import NamedTuple


class Colour(NamedTuple):
    """A colour: what it is on a light page, and on a dark one."""

    light: str
    dark: str


BLUE = Colour("#0a5ea8", "#63b3f4")
ORANGE = Colour("#c25400", "#f39a4e")
GREEN = Colour("#007a5a", "#3fcf9f")
PURPLE = Colour("#9c3587", "#e08fcd")
GOLD = Colour("#8a6d00", "#e2c044")
SKY = Colour("#3c8fb0", "#9fdcf2")
RED = Colour("#b3261e", "#ff8a80")
INK = Colour("#1c2024", "#e6e8ea")
DIM = Colour("#565c63", "#a4abb3")
LINE = Colour("#d5d9dd", "#3a4047")
BAND = Colour("#f1f3f5", "#22272c")
PAGE = Colour("#ffffff", "#16191c")

SERIES = (BLUE, ORANGE, GREEN, PURPLE, GOLD, SKY, INK, RED)
"""For lines side by side. People who cannot tell red from green can tell them, and dashes and marks differ as well."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down")
"""For the same lines."""

DARK = {
    colour.light: colour.dark for colour in (BLUE, ORANGE, GREEN, PURPLE, GOLD, SKY, RED, INK, DIM, LINE, BAND, PAGE)
}
"""For each light colour the dark one."""

_NAMES = {"ink": INK, "dim": DIM, "line": LINE, "band": BAND, "page": PAGE, "good": GREEN, "bad": RED, "warn": ORANGE}


def _variables(*, is_dark: bool) -> str:
    return "".join(f"--{name}:{colour.dark if is_dark else colour.light};" for name, colour in _NAMES.items())


_RULES = """
*{box-sizing:border-box;-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI","Liberation Sans",sans-serif}
body{color:var(--ink);background:var(--page);max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;line-height:1.3;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2.5rem 0 .5rem;break-after:avoid}
h3{font-size:1rem;margin:1.5rem 0 0;break-after:avoid}
h1,h2,h3,p,li,dd{overflow-wrap:anywhere}
footer,.reading,dt,small,th,summary,figcaption{color:var(--dim)}
.verdict{border-left:.4rem solid var(--dim);padding:.2rem 0 .2rem 1rem;margin-bottom:1.5rem}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}.verdict.warn{border-color:var(--warn)}
.badge{margin:0;font-weight:600;text-transform:uppercase;letter-spacing:.06em;font-size:.85rem}
.good>.badge{color:var(--good)}.bad>.badge{color:var(--bad)}.warn>.badge{color:var(--warn)}
.verdict ul{padding-left:1.2rem;margin:.5rem 0 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:.7rem;margin:0}
.tile{background:var(--band);border-radius:.4rem;padding:.5rem .8rem;break-inside:avoid}
.tile dt{font-size:.85rem}.tile dd{margin:0;font-size:1.35rem;line-height:1.3;font-variant-numeric:tabular-nums}
.tile small{display:block;font-size:.8rem;min-height:1.2em}
dl:not(.tiles)>div{display:grid;grid-template-columns:16rem 1fr;gap:0 1rem}
dl:not(.tiles)>div{padding:.2rem 0;border-bottom:1px solid var(--line)}
dl:not(.tiles) dd{margin:0}
figure{margin:0 0 .5rem;break-inside:avoid}
figcaption{margin:0 0 .3rem}
.plot{width:100%}
.plots{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:0 1.5rem}
.plots>figure{grid-column:1/-1}.plots>.half{grid-column:auto}
.wide{overflow-x:auto;margin:.8rem 0}
table{font-size:.9rem;border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th,td{white-space:nowrap}tr{break-inside:avoid}th{font-weight:normal}
.number{text-align:right}.text{width:100%;white-space:normal;overflow-wrap:anywhere;min-width:10rem}
details{margin:.5rem 0 1rem}summary{cursor:pointer}
@media(max-width:40rem){body{margin:1rem auto}th,td{padding-right:.7rem}
.tiles{grid-template-columns:1fr 1fr}.tile dd{font-size:1.15rem}
dl:not(.tiles)>div{grid-template-columns:1fr}}
@media print,(max-width:52rem){.plots{display:block}}
@media print{body{margin:0;padding:0;max-width:none;font-size:10pt}.wide{overflow:visible}
th,td{white-space:normal;padding-right:.5rem}.modebar{display:none}}
"""

STYLE = f"""
:root{{color-scheme:light dark;{_variables(is_dark=False)}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_variables(is_dark=True)}}}}}
{_RULES}"""
"""Of the page; on paper it is light."""
