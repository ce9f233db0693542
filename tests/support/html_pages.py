"""Pages as tests read them, and a text that would do harm in one."""

import json
from html.parser import HTMLParser

HOSTILE = "<script>alert('x')</script>\"&<!--\x1b[31m\u202e\udce9%{x}<a href='http://x'>"
"""Tags, entities, a comment, control characters, an undecodable byte, a template of plotly."""
_VOID = {"meta"}


class Page(HTMLParser):
    """Reads a page, and complains if its elements are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text, self.scripts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())

    @property
    def data(self):
        """What the plots are drawn from."""
        return json.loads(self.scripts[0])
