"""One module for each subject. Each has a ``measure`` that takes the :class:`~benchmarks.bench.Bench` it works at."""
