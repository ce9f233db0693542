"""What the words of a command line mean: the rules of asyncstore.cli.options.grammar, on a table made for them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.cli.options.command_files import expand
from asyncstore.cli.options.command_table import SEND
from asyncstore.cli.options.grammar import Given, Layer, check, parse, tokenize
from asyncstore.cli.options.kinds import Flag, Integer, Text, Words
from asyncstore.cli.options.table import Command, Group, Option, Parameter
from asyncstore.cli.options.tls_rows import ADD_CERT_FILE
from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pair(NamedTuple):
    names: tuple[str, ...] = ("KEY", "CERTIFICATE")

    def parse(self, words: Sequence[str]) -> tuple[str, str]:
        return words[0], words[1]


HELP = Option[bool]("--help", Flag(), False, "", "-h", exits=True)
VERSION = Option[bool]("--version", Flag(), False, "", exits=True)
TITLE = Option[str]("--title", Text("TITLE"), "US", "", "-t=")
SIZE = Option[int]("--size", Integer("N", 5, 9), 7, "", "+s")
TLS = Option[tuple[str, str] | None]("--tls", Pair(), None, "", "+tls")
RED = Option[bool]("--red", Flag(), False, "", "+r", alternatives="colour")
BLUE = Option[bool]("--blue", Flag(), False, "", "-b", alternatives="colour", requires=("--tls", "--title"))
LEVEL = Option[str | None]("--level", Text("L"), None, "", excludes=("--red", "--blue"))
NAMES = Option[str | None]("--names", Text("FILE"), None, "")
TRUST = Option[tuple[str, ...]]("--trust", Words("FILE"), (), "", accumulates=True)
HARD = Option[bool]("--hard", Flag(), False, "", requires=("--blue",))
ONLY = Option[str | None]("--only", Text("NAME"), None, "", line_only=True)

PEER = Parameter[str]("peer", Text("peer"), "", "")
PORT = Parameter[int]("port", Integer("port", 1, 65535), 0, "")
FILES = Parameter[tuple[str, ...]]("file", Words("file"), (), "", repeats=True, unless=("--names",))

COMMAND = Command(
    "try",
    "",
    (PEER, PORT, FILES),
    (Group("all", (HELP, VERSION, TITLE, SIZE, TLS, RED, BLUE, LEVEL, NAMES, TRUST, HARD, ONLY)),),
)


def parsed(*words, **environment):
    return parse(COMMAND, words, environment)


def refusal(*words, **environment):
    with pytest.raises(UsageError) as caught:
        parse(COMMAND, words, environment)
    return str(caught.value)


class TestWords:
    @pytest.mark.parametrize("word", ["-", "+", "-5", "+5", "-5a", "", "=", "a-b", "/x"])
    def test_a_sign_alone_or_before_a_digit_is_a_parameter(self, word):
        assert parsed("host", "1", word)[FILES] == (word,)

    @pytest.mark.parametrize("word", ["---", "-.5", "-é", "-hb", "--hel", "-H", "--HELP", "+h", "-size"])
    def test_every_other_word_with_a_sign_must_be_an_option(self, word):
        assert refusal("host", "1", "file", word).startswith(f"unknown option {word}")

    def test_two_hyphens_end_the_options(self):
        """This rule is ours: storescu refuses them."""
        line = parsed("host", "+r", "--", "1", "-h", "--size", "--", "+r", "@nowhere")
        assert line[RED]
        assert line[FILES] == ("-h", "--size", "--", "+r", "@nowhere")

    def test_two_hyphens_may_be_a_value(self):
        line = parsed("--title", "--", "host", "1", "+r", "f")
        assert (line[TITLE], line[RED], line[FILES]) == ("--", True, ("f",))

    def test_two_hyphens_in_a_command_file_count_as_well(self, tmp_path):
        (tmp_path / "words").write_text("host 1 -- +r @nowhere")
        line = parsed(f"@{tmp_path}/words", "-h", "@nowhere")
        assert line[FILES] == ("+r", "@nowhere", "-h", "@nowhere")

    def test_nothing_that_exits_stands_behind_two_hyphens(self):
        assert tokenize(COMMAND, ["host", "1", "--", "--help"]).exit_option() is None

    def test_options_and_parameters_stand_in_any_order(self):
        line = parsed("host", "-t=", "ME", "1", "a", "+s", "6", "b", "+r")
        assert (line[PEER], line[PORT], line[FILES]) == ("host", 1, ("a", "b"))
        assert (line[TITLE], line[SIZE], line[RED]) == ("ME", 6, True)

    @pytest.mark.parametrize("value", ["-h", "--help", "+r", "-", "--size", "", "a b"])
    def test_a_value_is_taken_as_it_is(self, value):
        assert parsed("host", "1", "f", "--title", value)[TITLE] == value

    def test_an_option_may_take_two_values(self):
        line = parsed("host", "1", "+tls", "-k", "-c", "f")
        assert line[TLS] == ("-k", "-c")
        assert line[FILES] == ("f",)

    def test_the_last_of_several_values_counts(self):
        assert parsed("host", "1", "f", "-t=", "A", "--title", "B")[TITLE] == "B"

    def test_a_joined_value_is_refused_with_the_way_to_write_it(self):
        assert refusal("--title=ME") == "unknown option --title=ME: write the value as a word of its own (--title ME)"
        assert refusal("--red=ME") == "unknown option --red=***: --red takes no value"

    def test_a_slip_is_answered_with_the_likeliest_option(self):
        assert refusal("--tilte", "x").endswith("did you mean --title?")
        assert refusal("-tls", "x").endswith("did you mean +tls?")

    def test_a_missing_value_is_named(self):
        assert refusal("host", "1", "f", "-t=") == "-t=/--title needs TITLE after it"
        assert refusal("host", "1", "f", "+tls", "k") == "+tls/--tls needs KEY CERTIFICATE after it"

    def test_the_words_are_kept_with_long_names(self):
        assert parsed("-t=", "-t=", "host", "1", "-5").words == ("--title", "-t=", "host", "1", "-5")

    @pytest.mark.slow
    @given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=8))
    def test_any_words_mean_something_or_are_refused(self, words):
        words = [word for word in words if not word.startswith("@")]
        with suppress(UsageError):
            parse(COMMAND, words, {})


class TestValuesAndRules:
    def test_a_default_holds_where_nothing_is_given(self):
        line = parsed("host", "1", "f")
        assert (line[TITLE], line[SIZE], line[TLS], line[RED]) == ("US", 7, None, False)
        assert TITLE not in line

    def test_a_wrong_value_is_refused_with_both_names(self):
        assert refusal("host", "1", "f", "+s", "10") == "+s/--size: 10 is out of range (5..9)"
        assert refusal("host", "1", "f", "+s", "x") == "+s/--size: 'x' is not an integer"

    def test_only_the_value_that_counts_is_checked(self):
        assert parsed("host", "1", "f", "+s", "99", "+s", "6")[SIZE] == 6

    def test_the_rightmost_alternative_counts(self):
        line = parsed("host", "1", "f", "-t=", "A", "+r", "-b")
        assert (line[RED], line[BLUE]) == (False, True)
        line = parsed("host", "1", "f", "-b", "+r")
        assert (line[RED], line[BLUE]) == (True, False)

    def test_an_alternative_that_does_not_count_needs_nothing(self):
        assert parsed("host", "1", "f", "-b", "+r")[RED]

    def test_a_requirement_names_all_that_fulfil_it(self):
        assert refusal("host", "1", "f", "-b") == "-b/--blue is only allowed with --tls or --title"
        assert parsed("host", "1", "f", "-b", "--tls", "k", "c")[BLUE]

    def test_an_exclusion_names_both(self):
        assert refusal("host", "1", "f", "--level", "x", "+r") == "--level is not allowed with --red"

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ((), "no peer is given"),
            (("host",), "no port is given"),
            (("host", "1"), "no file is given"),
            (("host", "x", "f"), "port: 'x' is not an integer"),
            (("host", "0", "f"), "port: 0 is out of range (1..65535)"),
            (("host", "65536", "f"), "port: 65536 is out of range (1..65535)"),
        ],
    )
    def test_parameters_are_checked(self, words, reason):
        assert refusal(*words) == reason

    def test_a_parameter_may_be_left_out_when_an_option_takes_its_place(self):
        assert parsed("host", "1", "--names", "list")[FILES] == ()

    def test_one_parameter_too_many_is_named(self):
        command = COMMAND._replace(parameters=(PEER,))
        with pytest.raises(UsageError, match="unexpected parameter 'b'"):
            parse(command, ["a", "b"], {})

    def test_an_option_that_exits_needs_no_more_than_tokens(self):
        assert tokenize(COMMAND, ["-h", "+s", "99", "--blue"]).exit_option() == "--help"
        assert tokenize(COMMAND, ["--version", "x", "-h"]).exit_option() == "--help"
        assert tokenize(COMMAND, ["--title", "-h"]).exit_option() is None


class TestCommandFiles:
    @pytest.fixture
    def words_of(self, tmp_path):
        def words_of(content: bytes) -> list[str]:
            file = tmp_path / "words"
            file.write_bytes(content)
            return list(expand([f"@{file}"]))

        return words_of

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", []),
            (b"localhost 1\r\n\t-v\n", ["localhost", "1", "-v"]),
            (b'"a b" \'c d\' x"y z"', ["a b", "c d", "xy z"]),
            (b'\'it"s\' "it\'s" ""', ['it"s', "it's", ""]),
            (rb"C:\scans\ct \"", None),
            (rb'C:\scans\ct "D:\my scans\"', [r"C:\scans\ct", "D:\\my scans\\"]),
            (b"# no comment", ["#", "no", "comment"]),
            (b"a;b|c&(d) @other *", ["a;b|c&(d)", "@other", "*"]),
            (b"\xef\xbb\xbfhost", ["host"]),
            (b"M\xfcller.dcm", ["M\udcfcller.dcm"]),
        ],
    )
    def test_their_words_replace_them(self, words_of, content, words):
        if words is None:
            with pytest.raises(UsageError, match="a quote in the command file is not closed"):
                words_of(content)
        else:
            assert words_of(content) == words

    def test_they_stand_also_for_values(self, tmp_path):
        (tmp_path / "title").write_text("ME")
        assert parsed("host", "1", "f", "--title", f"@{tmp_path / 'title'}")[TITLE] == "ME"

    def test_one_that_is_not_there_is_named(self):
        assert refusal("@/nowhere") == "@/nowhere: cannot read the command file: No such file or directory"

    def test_the_sign_alone_is_a_word(self):
        assert list(expand(["@"])) == ["@"]


class TestEnvironment:
    LINE = ("host", "1", "f")

    def test_it_gives_values_and_flags(self):
        line = parsed(*self.LINE, ASYNCSTORE_SIZE="9", ASYNCSTORE_RED="yes", ASYNCSTORE_TITLE="-h")
        assert (line[SIZE], line[RED], line[TITLE]) == (9, True, "-h")

    def test_the_command_line_wins(self):
        assert parsed(*self.LINE, "+s", "6", ASYNCSTORE_SIZE="9")[SIZE] == 6
        line = parsed(*self.LINE, "-t=", "A", "-b", ASYNCSTORE_RED="1")
        assert (line[RED], line[BLUE]) == (False, True)

    @pytest.mark.parametrize("off", ["0", "no", "False", "off"])
    def test_a_flag_can_be_off(self, off):
        assert not parsed(*self.LINE, ASYNCSTORE_RED=off)[RED]

    def test_what_contradicts_the_command_line_has_no_say(self):
        assert parsed(*self.LINE, "+r", ASYNCSTORE_LEVEL="x")[LEVEL] is None
        assert not parsed(*self.LINE, "--level", "x", ASYNCSTORE_RED="1")[RED]

    def test_what_needs_something_else_has_no_say_without_it(self):
        assert not parsed(*self.LINE, ASYNCSTORE_BLUE="1")[BLUE]
        assert parsed(*self.LINE, ASYNCSTORE_BLUE="1", ASYNCSTORE_TITLE="A")[BLUE]

    def test_a_contradiction_within_it_is_refused(self):
        said = refusal(*self.LINE, ASYNCSTORE_LEVEL="x", ASYNCSTORE_RED="1")
        assert said == "--level is not allowed with --red"

    def test_a_wrong_value_names_the_variable(self):
        said = refusal(*self.LINE, ASYNCSTORE_SIZE="10")
        assert said == "--size from ASYNCSTORE_SIZE: 10 is out of range (5..9)"
        said = refusal(*self.LINE, ASYNCSTORE_RED="maybe")
        assert said == "--red from ASYNCSTORE_RED: 'maybe' is neither 1 nor 0"

    def test_an_empty_variable_is_as_good_as_none(self):
        line = parsed(*self.LINE, ASYNCSTORE_SIZE="", ASYNCSTORE_TITLE="", ASYNCSTORE_TLS="", ASYNCSTORE_RED="")
        assert (line[SIZE], line[TITLE]) == (7, "US")
        assert not any(row in line for row in (SIZE, TITLE, TLS, RED))

    def test_options_that_exit_do_not_read_it(self):
        assert not parsed(*self.LINE, ASYNCSTORE_HELP="1")[HELP]

    def test_words_are_parted_as_in_a_shell_where_an_option_takes_several(self):
        assert parsed(*self.LINE, ASYNCSTORE_TLS="key 'my cert'")[TLS] == ("key", "my cert")
        assert parsed(*self.LINE, ASYNCSTORE_TRUST='a "b c"')[TRUST] == ("a", "b c")
        assert parsed(*self.LINE, ASYNCSTORE_TITLE="A 'B")[TITLE] == "A 'B"

    @pytest.mark.parametrize("text", ["key", "a b c", " "])
    def test_too_few_and_too_many_words_are_refused(self, text):
        said = refusal(*self.LINE, ASYNCSTORE_TLS=text)
        assert said == f"--tls from ASYNCSTORE_TLS: {text!r} does not hold KEY CERTIFICATE"

    def test_a_quote_that_is_not_closed_is_refused(self):
        assert refusal(*self.LINE, ASYNCSTORE_TLS="a 'b") == "--tls from ASYNCSTORE_TLS: a quote is not closed"

    def test_what_the_command_line_needs_may_come_from_it(self):
        assert parsed(*self.LINE, "-b", ASYNCSTORE_TITLE="A")[BLUE]

    def test_options_of_the_command_line_alone_do_not_read_it(self):
        assert parsed(*self.LINE, ASYNCSTORE_ONLY="x")[ONLY] is None


class TestLayers:
    """What lies beneath the command line and the environment, as configuration files give it."""

    LINE = ("host", "1", "f")

    def parsed(self, *layers, words=LINE, **environment):
        return check(COMMAND, tokenize(COMMAND, words), environment, [Layer(layer) for layer in layers])

    def test_the_upper_one_wins(self):
        line = self.parsed([Given(SIZE, ("8",))], [Given(SIZE, ("9",)), Given(TITLE, ("B",))])
        assert (line[SIZE], line[TITLE]) == (8, "B")
        assert self.parsed([Given(SIZE, ("8",))], ASYNCSTORE_SIZE="6")[SIZE] == 6
        assert self.parsed([Given(SIZE, ("8",))], words=(*self.LINE, "+s", "5"), ASYNCSTORE_SIZE="6")[SIZE] == 5

    def test_a_flag_that_is_off_above_is_off(self):
        assert not self.parsed([Given(RED, (), is_off=True)], [Given(RED, ())])[RED]
        assert not self.parsed([Given(RED, ())], ASYNCSTORE_RED="0")[RED]
        assert self.parsed([Given(RED, (), is_off=True)], words=(*self.LINE, "+r"))[RED]

    def test_a_flag_that_is_off_chooses_none_of_its_alternatives(self):
        line = self.parsed([Given(RED, ()), Given(BLUE, (), is_off=True)])
        assert (line[RED], line[BLUE]) == (True, False)

    def test_a_group_of_alternatives_is_chosen_from_once(self):
        line = self.parsed([Given(RED, ())], [Given(BLUE, ()), Given(TITLE, ("A",))])
        assert (line[RED], line[BLUE]) == (True, False)

    def test_what_contradicts_a_layer_above_has_no_say(self):
        line = self.parsed([Given(LEVEL, ("x",))], [Given(RED, ())])
        assert (line[LEVEL], line[RED]) == ("x", False)

    def test_values_that_add_up_do_so_within_a_layer_only(self):
        below = [Given(TRUST, ("a",)), Given(TRUST, ("b",))]
        assert self.parsed(below)[TRUST] == ("a", "b")
        assert self.parsed(below, words=(*self.LINE, "--trust", "c"))[TRUST] == ("c",)

    def test_what_needs_something_that_goes_has_no_say_either(self):
        assert not self.parsed([Given(HARD, ()), Given(BLUE, ())])[HARD]
        line = self.parsed([Given(HARD, ()), Given(BLUE, ())], [Given(TITLE, ("A",))])
        assert line[HARD]
        assert line[BLUE]

    def test_only_what_has_a_say_is_checked(self):
        assert self.parsed([Given(SIZE, ("99",))], words=(*self.LINE, "+s", "5"))[SIZE] == 5
        with pytest.raises(UsageError, match=r"^there: 99 is out of range"):
            self.parsed([Given(SIZE, ("99",), "there")])

    def test_parameters_of_a_layer_take_no_words_of_the_line(self):
        layer = Layer([], {"peer": ("there",), "port": ("7",)})
        line = check(COMMAND, tokenize(COMMAND, ["f", "g"]), {}, [layer])
        assert (line[PEER], line[PORT], line[FILES]) == ("there", 7, ("f", "g"))


@pytest.mark.slow
def test_an_option_may_be_given_a_hundred_thousand_times():
    """Joining the words of each with those before it took hours."""
    words = [word for number in range(100_000) for word in ("+cf", f"{number}.pem")]
    parsed = parse(SEND, ["+tla", *words, "pacs", "104", "."], {})
    assert len(parsed[ADD_CERT_FILE]) == 100_000
