"""What ``bench`` takes and refuses: kinds of values, rules between options, two-word commands."""

import pytest

from asyncstore.cli.commands.complete import Offer, offered
from asyncstore.cli.main import main
from asyncstore.cli.options import bench_rows as bench
from asyncstore.cli.options.bench_commands import BENCH
from asyncstore.cli.options.bench_kinds import Factor, Frequency, Period, Size, Stages, Steps
from asyncstore.cli.options.grammar import parse
from asyncstore.errors import UsageError
from asyncstore.load.kinds import RECIPES
from asyncstore.load.mix import DEFAULT_MIX

PEER = ("pacs", "11112")
RATE = Frequency("RATE", "200/s", may_be_bare=True)
EXAMS = Frequency("RATE", "120/h")


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (RATE, "200/s", 200),
        (RATE, "200", 200),
        (RATE, "0.5", 0.5),
        (RATE, "600/min", 10),
        (RATE, "7200/H", 2),
        (EXAMS, "120/h", 1 / 30),
        (EXAMS, "86400/d", 1),
        (Size("B"), "512K", 512_000),
        (Size("B"), "64Ki", 65_536),
        (Size("B"), "2MB", 2_000_000),
        (Size("B"), "1024", 1024),
        (Period("D", "5s"), "0", 0),
        (Period("D", "5s"), "0s", 0),
        (Period("D", "5s"), "1m30s", 90),
        (Factor("F"), "0.5", 0.5),
        (Steps("N"), "1,2, 16", (1, 2, 16)),
        (Stages("S"), "1m:50/s,5m:200/s, 30s:0", ((60, 50), (300, 200), (30, 0))),
    ],
)
def test_values_are_read(kind, word, value):
    assert kind.parse([word]) == value


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--rate", "0"), "--rate: '0' begins nothing; write, for example, 200/s"),
        (("--rate", "-3/s"), "--rate: '-3/s' is no rate"),
        (("--rate", "5/week"), "'5/week' is no rate"),
        (("--exams", "5"), "--exams: '5' has no unit; write, for example, 120/h"),
        (("--exams", "0/h"), "--exams: '0/h' begins nothing"),
        (("--size", "0"), "--size: no data set of 0 bytes"),
        (("--size", "1025"), "take 1026"),
        (("--size", "5 GB/s"), "is no size"),
        (("--duration", "5"), "--duration: '5' has no unit"),
        (("--duration", "0s"), "'0s' is no time at all"),
        (("--warm-up", "5"), "has no unit; write, for example, 5s, or 0 for none"),
        (("--steps", "1,,2"), "--steps: '' is no number of associations (1..1024); write, for example, 1,2,4,8,16"),
        (("--steps", "0"), "'0' is no number of associations"),
        (("--steps", "1,9999"), "'9999' is no number of associations"),
        (("--stages", "5m"), "'5m' is no stage, which is DURATION:RATE; write, for example, 1m:50/s,5m:200/s"),
        (("--stages", "5:200/s"), "'5' has no unit"),
        (("--stages", "5m:x"), "'x' is no rate"),
        (("--mix", "ct=0"), "--mix: the mix 'ct=0' has the share '0' for ct"),
        (("--mix", "ctt"), "did you mean ct?"),
        (("--replay", "f", "--speed", "0"), "--speed: '0' is not a number above 0"),
        (("--replay", "f", "--speed", "nan"), "--speed: 'nan' is not a number above 0"),
        (("--threshold", "p99"), "--threshold: "),
        (("--threshold", "p99<fast"), "--threshold: "),
        (("--profile", "exams-per-year=0"), "--profile: "),
        (("--profile", "busy"), "--profile: "),
        (("--arrivals", "often", "--rate", "5"), "--arrivals: 'often' is none of fixed, poisson"),
    ],
)
def test_wrong_values_are_refused_with_the_option_and_an_example(words, complaint):
    with pytest.raises(UsageError) as caught:
        parse(BENCH, [*words, *PEER], {})
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        ("--rate 5 --exams 5/h", "--rate", "--exams"),
        ("--rate 5 --stages 5s:5", "--rate", "--stages"),
        ("--rate 5 --steps 1,2", "--rate", "--steps"),
        ("--exams 5/h --profile exams-per-year=1M", "--exams", "--profile"),
        ("--replay f --stages 5s:5", "--replay", "--stages"),
        ("--replay f --mix ct", "--replay", "--mix"),
        ("--replay f --size 2K", "--replay", "--size"),
        ("--replay f --duration 5s", "--duration", "--replay"),
        ("--stages 5s:5 --duration 5s", "--duration", "--stages"),
        ("--steps 1,2 --associations 3", "--steps", "--associations"),
        ("--mix ct --size 2K", "--mix", "--size"),
        ("--p99-limit 2s --rate 5", "--p99-limit", "--rate"),
        ("--speed 2", "--speed", "--replay"),
        ("--arrivals fixed", "--arrivals", "--rate"),
        ("--abort-on-fail", "--abort-on-fail", "--threshold"),
    ],
)
def test_rules_between_options_name_both(words, first, second):
    with pytest.raises(UsageError, match="allowed with") as caught:
        parse(BENCH, [*words.split(), *PEER], {})
    assert first in str(caught.value)
    assert second in str(caught.value)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("--keep-uids", *PEER), "--keep-uids is only allowed with files"),
        (("--mix", "ct", *PEER, "."), "--mix is not allowed with files"),
        (("--size", "2K", *PEER, "."), "--size is not allowed with files"),
        (("--replay", "f", *PEER, "."), "--replay is not allowed with files"),
    ],
)
def test_options_of_synthetic_instances_do_not_fit_to_files(words, first, capsys):
    assert main(["bench", *words]) == 1
    assert first in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--hdr", "--html"])
def test_only_the_document_goes_to_standard_output(option, capsys):
    assert main(["bench", option, "-", *PEER]) == 1
    assert f"{option}: only --json can go to standard output" in capsys.readouterr().err


def test_stages_that_begin_nothing_are_refused_before_the_peer_is_asked(capsys):
    assert main(["bench", "--stages", "5s:0", *PEER]) == 1
    shown = capsys.readouterr().err
    assert "these stages begin nothing" in shown
    assert "measuring" not in shown


def test_thresholds_are_collected():
    given = parse(BENCH, ["--threshold", "p99<2s", "--threshold", "failed<0.1%", *PEER], {})
    assert len(given[bench.THRESHOLD]) == 2


def test_the_default_mix_is_the_one_that_the_help_shows():
    assert bench.MIX.shown_default.replace(" ", "") == DEFAULT_MIX


def test_the_help_names_all_kinds_of_a_mix():
    named = bench.MIX.help.partition("known are ")[2].replace(" and ", ", ").split(", ")
    assert named == list(RECIPES)


def test_a_configuration_for_send_fits_bench():
    """Options that both have may stand at the top level of a file or in the environment."""
    given = parse(BENCH, PEER, {"ASYNCSTORE_ASSOCIATIONS": "auto", "ASYNCSTORE_PROGRESS": "off"})
    assert given[bench.ASSOCIATIONS] is None


class TestTwoWords:
    def test_a_command_may_have_a_name_of_two_words(self, capsys):
        assert main(["bench", "compare", "--help"]) == 0
        assert "usage: asyncstore bench compare [options] A.json B.json" in capsys.readouterr().out

    def test_help_knows_both_words(self, capsys):
        assert main(["help", "bench", "merge"]) == 0
        assert "usage: asyncstore bench merge" in capsys.readouterr().out
        assert main(["help", "bench"]) == 0
        assert "usage: asyncstore bench [options]" in capsys.readouterr().out

    def test_errors_name_both_words(self, capsys):
        assert main(["bench", "compare", "a.json"]) == 1
        assert capsys.readouterr().err == (
            "asyncstore bench compare: no B.json is given; usage: asyncstore bench compare [options] A.json B.json\n"
        )

    def test_the_usage_shows_that_files_may_be_left_out(self):
        assert BENCH.usage == "asyncstore bench [options] [--] peer port [path...]"

    @pytest.mark.parametrize(
        ("words", "offer"),
        [
            (["bench", "co"], ["compare"]),
            (["bench", "m"], ["merge"]),
        ],
    )
    def test_the_second_word_is_completed(self, words, offer):
        assert list(offered(["asyncstore", *words], {}).words) == offer

    def test_other_second_words_are_peers(self):
        assert offered(["asyncstore", "bench", "pac"], {}) == Offer("hostname")
        assert offered(["asyncstore", "bench", ""], {}) == Offer("hostname")

    def test_the_words_behind_them_are_files_and_their_options(self):
        assert offered(["asyncstore", "bench", "compare", "a"], {}) == Offer("file")
        assert "--json" in offered(["asyncstore", "bench", "compare", "-"], {}).words
        assert "--rate" not in offered(["asyncstore", "bench", "compare", "-"], {}).words

    def test_the_program_offers_only_first_words(self):
        assert not [name for name in offered(["asyncstore", ""], {}).words if " " in name]
