"""A terminal that knows only the few control sequences that the display uses."""

import io
import re

_TOKENS = re.compile(r"\x1b\[(?P<private>\??)(?P<number>\d*)(?:;\d+)*(?P<final>[A-Za-z])|(?P<character>.)", re.DOTALL)


class Screen(io.TextIOBase):
    """Rows of characters and a cursor. Rows that scroll out at the top go to ``history``."""

    encoding = "utf-8"

    def __init__(self, width=80, height=24):
        self.width, self.height = width, height
        self.rows, self.history = [""], []
        self.row = self.column = 0
        self.wraps = True
        self.cursor_visible = True
        self.writes = 0

    def isatty(self):
        return True

    @property
    def lines(self):
        """The visible text, without spaces at the end of lines and without empty rows at the end."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip().split("\n")

    def resize(self, width, height=None):
        """Change the size and wrap the lines again: in a narrower terminal one row may become several.

        A lower one pushes rows out at its top, and a higher one brings them back.
        """
        height = height or self.height
        for _ in range(min(len(self.history), height - self.height)):
            self.rows.insert(0, self.history.pop())
            self.row += 1
        self.height = height
        rows, cursor = [], 0
        for index, row in enumerate(self.rows):
            if index == self.row:
                cursor = len(rows)
            seen = row.rstrip()
            rows += [seen[start : start + width] for start in range(0, len(seen), width)] or [""]
        self.rows, self.row, self.width = rows, cursor, width
        self._scroll()

    def write(self, text):
        self.writes += 1
        for token in _TOKENS.finditer(text):
            if token["character"]:
                self._put(token["character"])
            else:
                self._obey(token["private"], token["final"], int(token["number"] or 0))
        return len(text)

    def _put(self, character):
        if character == "\n":
            self.column = 0
            self._down()
        elif character == "\r":
            self.column = 0
        else:
            assert character.isprintable(), f"{character!r} reached the terminal"
            if self.column >= self.width:
                if not self.wraps:
                    return
                self.column = 0
                self._down()
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
            self.column += 1

    def _down(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")
        self._scroll()

    def _scroll(self):
        while len(self.rows) > self.height:
            self.history.append(self.rows.pop(0))
            self.row -= 1

    def _obey(self, private, final, number):
        match private, final, number:
            case "", "A", _:
                self.row = max(0, self.row - max(1, number))
            case "", "K", 0:
                self.rows[self.row] = self.rows[self.row][: self.column]
            case "", "J", 0:
                self.rows[self.row] = self.rows[self.row][: self.column]
                del self.rows[self.row + 1 :]
            case "", "m", _:
                pass
            case "?", ("h" | "l"), 7:
                self.wraps = final == "h"
            case "?", ("h" | "l"), 25:
                self.cursor_visible = final == "h"
            case _:
                raise AssertionError(f"the display sends {private}{number}{final}")
