"""Measure how fast asyncstore is, beside the programs that people use for the same work.

    python -m benchmarks              everything: more than half an hour, on a machine that does nothing else
    python -m benchmarks --quick      the same with few instances: a minute or two, to see that it works
    python -m benchmarks --help       the other options

Rules:

1. Only ratios within one run on one machine count. So the programs take turns, A B C A B C, after a round that is
   thrown away. A ratio is taken within each round, then the median over the rounds.
2. The command line that people type is measured, in its own processes.
3. If a program's exit code says that something was not stored, that is no measurement and the benchmarks end. Only runs
   with peers as shipped are repeated, and the table says how often.
4. Everything stays on loopback and in temporary folders. Every process is ended by its id.
5. Each table names the machine and the command lines.

The benchmarks need Linux: they wait for pidfds and read memory from /proc.

    sections/      a module for each subject; each reports tables, and figures for the last table
    standing       the last table: the measurements beside their targets
    scale          the numbers and sizes of everything
    programs       the command lines to compare
    peers, relay   the SCPs, and a slow way to them
    processes      start programs, wait for them, measure their cost
    rounds         turns and medians
    data, machine, report, bench
"""
