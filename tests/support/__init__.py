"""Code that several tests share. It holds no tests, and nothing here starts before a test asks for it.

- `oracle`: the questions that every run must pass: one outcome for each file, nothing left behind, in both event loops.
- `trees`: folders of files: synthetic instances, pydicom's own files, damaged ones.
- `peers`: acceptors and requestors that are not asyncstore's: real programs, and hostile ones written here.
- `fakes`: associations, readers and an outlet without I/O, as `asyncstore.schedule.ports` describes them.
- `samples`: outcomes and progress to show. `screen`: a terminal that keeps what was drawn.
- `commands`: asyncstore's commands as processes of their own.
- `differential`: the same words to storescu and to asyncstore, and what differed.
"""
