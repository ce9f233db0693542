"""What people and machines see of a run.

The core emits outcomes and answers for its progress; everything here samples. Import the modules themselves: ``live``
and ``summary`` load rich, ``tally``, ``pace`` and ``jsonlines`` do not need it.
"""
