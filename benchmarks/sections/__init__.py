"""A module for each subject; its ``measure`` takes the :class:`~benchmarks.bench.Bench`."""
