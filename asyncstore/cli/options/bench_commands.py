"""The commands ``bench``, ``bench compare`` and ``bench merge``: their options, in the order of the help."""

from __future__ import annotations

from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options import groups
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import tls_rows as tls_opt
from asyncstore.cli.options.table import Command, Example, Group

BENCH = Command(
    "bench",
    "measure what a storage SCP can take in, and where it breaks",
    (opt.PEER, opt.PORT, bench.PATHS),
    (
        Group(groups.GENERAL, (opt.HELP, *groups.LOGGING, opt.CONFIG, opt.NAMED_PEER)),
        Group("what is sent", (bench.MIX, bench.SIZE, bench.KEEP_UIDS, bench.RANDOM_SEED)),
        Group(
            "closed load: an association stores again when it has a response",
            (bench.ASSOCIATIONS, bench.STEPS, bench.DURATION),
        ),
        Group(
            "open load: instances arrive, whether the peer keeps up or not",
            (
                bench.RATE,
                bench.EXAMS,
                bench.PROFILE,
                bench.STAGES,
                bench.REPLAY,
                bench.SPEED,
                bench.ARRIVALS,
            ),
        ),
        Group("before and after the load", (bench.WARM_UP, bench.COOL_DOWN, bench.REPEAT, bench.NO_CALIBRATE)),
        Group("what is measured", (bench.FINDABLE, bench.P99_LIMIT, bench.THRESHOLD, bench.ABORT_ON_FAIL)),
        Group("output options", (opt.PROGRESS, bench.JSON, bench.HDR, bench.HTML)),
        groups.IP_VERSION,
        groups.TITLES,
        groups.IDENTITY,
        Group(groups.NETWORK, (*groups.TIMEOUTS, opt.MAX_PDU, opt.MAX_SEND_PDU, opt.ASYNC_OPS), groups.OTHER_NETWORK),
        *tls_opt.TLS_GROUPS,
    ),
    (
        (
            "Measure a test system only: what is sent stays there, and nothing removes it. Synthetic patients are "
            "named SYNTHETIC^... and have IDs that begin with SYN-."
        ),
        (
            "Without options it loads the peer with 1, 2, 4, 8 and 16 associations for 10 s each: together with "
            "calibration and warm-up this takes a minute, shows where more associations gain nothing, and is enough "
            "for the fit of the scalability law."
        ),
        (
            "In an open load, latencies count from the time when an instance was to begin, so they include the wait "
            "for a slow peer. Instances that could not begin in their phase are dropped, and counted."
        ),
        (
            "Thresholds are on rate, bytes and studies (a second, an hour), on failed, unknown, warnings and dropped "
            "(a number, or a share in %), and on p50 to p99.9, max and mean of the latency: 'p95<1s', for whole exams "
            "'study p95<1m', for C-FIND 'findable p99<5s'."
        ),
        (
            "If this machine was the limit, the verdict says client-bound, and calls nothing a limit of the peer: use "
            "more machines, and add their results with bench merge."
        ),
        (
            "A peer whose host name is compare or merge: write its address, or a dot behind the name, because these "
            "words after bench are commands."
        ),
        groups.END_OF_OPTIONS,
        groups.ENVIRONMENT,
        groups.PEERS,
        "Ctrl-C ends the load, lets the stores under way finish, and reports what was measured; twice aborts them.",
        (
            "Exit code: 0 all stores succeeded and all thresholds hold, 1 nothing could be attempted, 2 some store "
            "failed, and no threshold says how many may, or the peer was lost, or a file could not be written, 99 a "
            "threshold is crossed, 130 interrupted."
        ),
    ),
    (
        Example("how much, and over how many associations?", "asyncstore bench -aec PACS pacs 11112"),
        Example(
            "does it take 200 CT and MR images a second for five minutes?",
            "asyncstore bench --mix ct=75,mr=25 --rate 200/s --duration 5m --threshold 'p99<2s' pacs 11112",
        ),
        Example("your own data", "asyncstore bench --associations 8 --duration 60s pacs 11112 /some/studies"),
        Example(
            "a report for a browser, and one to compare with later",
            "asyncstore bench --repeat 3 --json before.json --html before.html pacs 11112",
        ),
    ),
)

BENCH_COMPARE = Command(
    "bench compare",
    "compare two measurements: what differs by more than chance",
    (bench.FIRST, bench.SECOND),
    (Group("options", (opt.HELP, opt.QUIET, bench.COMPARE_JSON, bench.COMPARE_HTML)),),
    (
        "Confidence intervals are over the repeats: measure with bench --repeat 3 or more.",
        "Exit code: 0 they were compared, 1 a file cannot be read or written.",
    ),
    (Example("did the new disks help?", "asyncstore bench compare before.json after.json"),),
)

BENCH_MERGE = Command(
    "bench merge",
    "add the measurements of several machines that loaded one peer at the same time",
    (bench.MERGED, bench.PARTS),
    (Group("options", (opt.HELP, opt.QUIET, bench.SUM_HTML)),),
    (
        "Histograms are added, never averaged. The new file can be compared, and merged again.",
        "Exit code: 0 they were added, 1 a file cannot be read or written, or the files do not fit together.",
    ),
    (Example("three machines", "asyncstore bench merge all.json one.json two.json three.json"),),
)

BENCHES = {command.name: command for command in (BENCH, BENCH_COMPARE, BENCH_MERGE)}
"""By their names."""
