"""What people and machines see of a run.

The core emits outcomes and reports its progress; the modules here sample it. Import the modules themselves: ``live``,
``frame``, ``lanes``, ``fit_width`` and ``terminal`` load rich, the others do not.
"""
