"""How fast asyncstore is, beside the programs that are used for the same work today.

    python -m benchmarks              everything: more than half an hour, on a machine that does nothing else
    python -m benchmarks --quick      the same with few instances: a minute or two, shows that it works
    python -m benchmarks --help       the other options

Rules:

1. Only ratios count, and only those of one run on one machine. So the programs take turns, A B C A B C, after one round
   that is thrown away, and a ratio is taken within each round before the median is taken over the rounds.
2. What is measured is the command line that people type, in processes of its own: nothing of it runs in here.
3. A run in which something was not stored, as far as the program's exit code tells, is not a measurement. It ends the
   benchmarks; only with peers as shipped it is repeated, and the table says how often.
4. Everything stays on loopback and in temporary folders. Every process that is started is ended, by its id.
5. A table says which machine it was measured on, and with which command lines.

It needs Linux: process ids are waited for with pidfds, and memory is read from /proc.

    sections/      one module for each subject; each yields tables, and figures for the last one
    standing       the last table: what was measured beside what is asked for
    scale          how much of everything
    programs       the command lines that are compared
    peers, relay   what they send to
    processes      start, wait, and what it cost
    rounds         taking turns, medians
    data, machine, report, bench
"""
