"""``bench --findable``: which stored instances are searched for."""

from asyncstore.cli.commands.bench_findable import searching
from asyncstore.model import Details, Head
from support.loads import SmallSource

DETAILS = Details(0, 0, Head("1.2.1", "1.2.2", b"", "", "CT"))


class Target:
    """Opens associations that a test answers for."""

    async def __call__(self, _number, on_stored, _on_end):
        return on_stored


class Finder:
    """Keeps what it is offered."""

    def __init__(self):
        self.offered = []
        self.next = 0.0

    def offer(self, _study, _series, uid, at):
        self.offered.append((uid, at))
        self.next = at + 1.0


async def test_stored_instances_of_phases_that_count_are_offered():
    counts = [False]
    finder = Finder()
    stored = await searching(Target(), finder, lambda: counts[0])(1, lambda *_: None, lambda: None)
    instance = SmallSource().make(0, 1).instance._replace(details=DETAILS)
    stored(instance, 0.0, 0.1, 1.0, 0)
    counts[0] = True
    for at, status in ((2.0, 0xA700), (2.1, None), (2.2, 0), (2.3, 0), (3.3, 0xB000)):
        stored(instance, 0.0, 0.1, at, status)
    assert [at for _, at in finder.offered] == [2.2, 3.3]
