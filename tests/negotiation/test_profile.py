"""Mistakes and remarks in configuration files; test_like_storescu compares the proposals with the real storescu's."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import UsageError
from asyncstore.negotiation.profile import read_profile
from asyncstore.protocol.associate import ExtendedNegotiation, ProposedContext, RoleSelection

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"

GOOD = r"""# line 1
[[TransferSyntaxes]]
[Explicit]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[CTOnly]
PresentationContext1 = CTImageStorage\Explicit
[[SCPSCURoleSelection]]
[CTRole]
Role1 = CTImageStorage\BOTH
[[ExtendedNegotiation]]
[CTMore]
ExtendedNegotiation1 = CTImageStorage\0201
[[Profiles]]
[Default]
PresentationContexts = CTOnly
SCPSCURoleSelection = CTRole
ExtendedNegotiation = CTMore
"""


def changed(old, new):
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_profile_becomes_a_proposal():
    profiled = read_profile(GOOD, "a.cfg", "default")
    assert profiled.contexts([(MR, EXPLICIT)]) == (ProposedContext(1, CT, (EXPLICIT,)),)
    assert profiled.roles == (RoleSelection(CT, scu=True, scp=True),)
    assert profiled.extended == (ExtendedNegotiation(CT, b"\2\1"),)
    assert profiled.remarks == ()
    assert not profiled.needs_all_files


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("\n", " \t\n\n   \n#  [comment]\n"),
        GOOD.replace(" = ", "="),
        GOOD.replace("\\", " \\\n  "),
        GOOD.upper().replace("LITTLEENDIANEXPLICIT", "LittleEndianExplicit").replace("CTIMAGESTORAGE", CT),
        changed("LittleEndianExplicit", EXPLICIT),
        changed("LittleEndianExplicit", "=LittleEndianExplicit"),
        changed("[Explicit]\n", "[ex plicit] "),
        changed("[Explicit]", "[Unused]\n[Explicit]"),
        GOOD[GOOD.index("[[Prof") :] + "\n" + GOOD[: GOOD.index("[[Prof")],
    ],
    ids=["CRLF", "CR", "blank lines", "no spaces", "continued", "capitals", "UID", "=", "one line", "unused", "order"],
)
def test_equivalent_spellings_give_the_same_proposal(text):
    assert read_profile(text, "a.cfg", "De fault") == read_profile(GOOD, "a.cfg", "Default")


@pytest.mark.parametrize("name", ["storescu", "storescp"])
def test_debians_files_are_read_without_remarks(name):
    path = Path("/etc/dcmtk", f"{name}.cfg")
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    profiled = read_profile(path.read_text(), path.name, "Default")
    assert len(profiled.proposed) == 128
    assert profiled.remarks == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed("PresentationContext1 =", "PresentationContext2 ="), None),
        (
            changed("= CTOnly", "= Other"),
            "a.cfg, line 16: PresentationContexts: [[PresentationContexts]] has no list 'Other', or an empty one",
        ),
        (changed("PresentationContexts = CTOnly\n", ""), "a.cfg, line 15: [Default]: it names no PresentationContexts"),
        (
            changed("LittleEndianExplicit", "LittleEndianExplict"),
            (
                "a.cfg, line 4: TransferSyntax1: 'LittleEndianExplict' is neither a UID nor a name of one, "
                "did you mean LittleEndianExplicit?"
            ),
        ),
        (
            changed("LittleEndianExplicit", "LittleEndianExplicit # as ever"),
            (
                "a.cfg, line 4: TransferSyntax1: 'LittleEndianExplicit # as ever' is neither a UID nor a name of one, "
                "did you mean LittleEndianExplicit?"
            ),
        ),
        (changed("LittleEndianExplicit", "1.2.x"), "a.cfg, line 4: TransferSyntax1: '1.2.x' is neither"),
        (changed("LittleEndianExplicit", "1" * 65), "a.cfg, line 4: TransferSyntax1: '1111"),
        (changed("LittleEndianExplicit", ""), "a.cfg, line 4: TransferSyntax1: '' is neither"),
        (
            changed("CTImageStorage\\Explicit", "CTImageStorage"),
            (
                "a.cfg, line 7: PresentationContext1: 'CTImageStorage' lacks the backslash between SOP class and "
                "list of transfer syntaxes"
            ),
        ),
        (
            changed("CTImageStorage\\Explicit", "CTImageStorage\\Implicit"),
            "a.cfg, line 7: PresentationContext1: [[TransferSyntaxes]] has no list 'Implicit', or an empty one",
        ),
        (changed("\\BOTH", "\\NONE"), "a.cfg, line 10: Role1: 'NONE' is none of SCU, SCP, BOTH"),
        (
            changed("Role1 = CTImageStorage", "Role1 = MRImageStorage"),
            (
                f"a.cfg, line 17: SCPSCURoleSelection: 'CTRole' lists SOP class {MR}, "
                "which has no presentation context here"
            ),
        ),
        (
            changed("\\BOTH\n", "\\BOTH\nRole2 = CTImageStorage\\SCU\n"),
            "a.cfg, line 11: Role2: its list has CTImageStorage already",
        ),
        (changed("\\0201", "\\020"), "a.cfg, line 13: ExtendedNegotiation1: after the backslash 1 to 1024 bytes"),
        (changed("\\0201", "\\"), "a.cfg, line 13: ExtendedNegotiation1: after the backslash 1 to 1024 bytes"),
        (changed("\\0201", "\\02 1g"), "a.cfg, line 13: ExtendedNegotiation1: after the backslash 1 to 1024 bytes"),
        (changed("\\0201", "\\" + "00" * 1025), "a.cfg, line 13: ExtendedNegotiation1: after the backslash"),
        (
            changed("ExtendedNegotiation = CTMore", "ExtendedNegotiation = Nothing"),
            "a.cfg, line 18: ExtendedNegotiation: [[ExtendedNegotiation]] has no list 'Nothing', or an empty one",
        ),
        (GOOD + "[default]\n", "a.cfg, line 19: [default]: another profile has that name"),
        (GOOD + "[[Profiles]]\n", "a.cfg, line 19: [[Profiles]]: it stands twice"),
        (changed("[[TransferSyntaxes]]\n", ""), "a.cfg, line 2: [Explicit]: it stands in no [[supersection]]"),
        (changed("[Explicit]\n", ""), "a.cfg, line 3: TransferSyntax1: it stands in no [section]"),
        (
            changed("= LittleEndianExplicit", "= x" + "\n a" * 340_000),
            "a.cfg, line 4: TransferSyntax1: its value has more than 4096 characters",
        ),
        (
            changed("= LittleEndianExplicit", f"= {'x' * 4097}"),
            "a.cfg, line 4: TransferSyntax1: its value has more than 4096 characters",
        ),
        ("[" * 100_000, f"a.cfg, line 1: {'[' * 80}…: its brackets do not match"),
        (changed("[Explicit]", "[Explicit"), "a.cfg, line 3: [Explicit: its brackets do not match"),
        (changed("[[Profiles]]", "[[Profiles]"), "a.cfg, line 14: [[Profiles]: its brackets do not match"),
        (changed("[Explicit]", "[Explicit] # mine"), "a.cfg, line 3: # mine: it is neither [a heading] nor key"),
        (changed("SCPSCURoleSelection = ", "nonsense "), "a.cfg, line 17: nonsense CTRole: it is neither"),
        (GOOD[: GOOD.index("[[Prof")], "a.cfg: [[Profiles]] is missing"),
        (changed("[[Profiles]]", "[[Profile]]"), "a.cfg, line 14: [[Profile]]: there is no such supersection, did you"),
        (
            changed("[[TransferSyntaxes]]", "[[TransferSyntax]]"),
            "a.cfg, line 2: [[TransferSyntax]]: there is no such supersection, did you mean [[TransferSyntaxes]]?",
        ),
        (changed("[[Profiles]]", "[[Mine]]"), "a.cfg: [[Profiles]] is missing"),
        ("", "a.cfg: [[TransferSyntaxes]] is missing"),
        ("[[TransferSyntaxes]]", "a.cfg: [[PresentationContexts]] is missing"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(text, said):
    with pytest.raises(UsageError) as refused:
        read_profile(text, "a.cfg", "Default")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(
        said or "a.cfg, line 16: PresentationContexts: [[PresentationContexts]] has no list 'CTOnly'"
    )


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(UsageError) as refused:
        read_profile(GOOD + "[Second]\nPresentationContexts = CTOnly\n", "a.cfg", "third")
    assert str(refused.value) == "a.cfg: it has no profile 'third'; there are: Default, Second"


def test_ignored_entries_have_remarks():
    listed = "PresentationContext1 = CTImageStorage\\Explicit\n"
    text = changed(
        listed,
        f"{listed}PresentationContext1 = MRImageStorage\\Explicit\nPresentationContext3 = no matter what\n"
        "PresentationContext02 = MRImageStorage\\Explicit\n",
    )
    profiled = read_profile(text + "Colour = red\n[[Pictures]]\n[any]\nKey = value\n", "a.cfg", "Default")
    assert profiled[:3] == read_profile(GOOD, "a.cfg", "Default")[:3]
    gap = "[CTOnly] has no PresentationContext2, and what follows a gap does not count"
    assert sorted(profiled.remarks) == [
        "a.cfg, line 10: PresentationContext02 is ignored: " + gap,
        "a.cfg, line 22: Colour is ignored: profiles have no such key",
        "a.cfg, line 23: [[Pictures]] means nothing here and is ignored",
        "a.cfg, line 8: PresentationContext1 is ignored: [CTOnly] has that key already",
        "a.cfg, line 9: PresentationContext3 is ignored: " + gap,
    ]


def test_sections_of_one_name_are_one_list():
    text = changed("[[Profiles]]", "[[Profiles]]").replace(
        "[[SCPSCURole", "[ct only]\nPresentationContext1 = MRImageStorage\\Explicit\n[[SCPSCURole"
    )
    assert [context.abstract_syntax for context in read_profile(text, "a.cfg", "Default").proposed] == [CT, MR]


def test_a_list_longer_than_an_association_is_refused():
    many = "".join(f"PresentationContext{number} = CTImageStorage\\Explicit\n" for number in range(1, 130))
    text = changed("PresentationContext1 = CTImageStorage\\Explicit\n", many)
    with pytest.raises(UsageError, match="line 135: PresentationContext129: its list is too long: 128 entries"):
        read_profile(text, "a.cfg", "Default")


@pytest.mark.slow
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.text("[]=\\# \n1aé", max_size=3))
def test_a_damaged_file_is_read_or_refused(begin, end, instead):
    text = GOOD[:begin] + instead + GOOD[end:]
    with suppress(UsageError):
        assert read_profile(text, "a.cfg", "Default").proposed
