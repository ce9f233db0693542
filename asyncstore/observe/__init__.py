"""What people and machines see of a run.

The core emits outcomes and answers for its progress; everything here samples. Import the modules themselves: ``live``
and what it draws with (``frame``, ``lanes``, ``fit_width``, ``terminal``) load rich, the others do not need it.
"""
