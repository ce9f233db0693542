"""Every cell of PS3.8 table 9-10 is compared with pynetdicom's independent copy of it."""

import pytest
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from asyncstore.protocol.state import TABLE, State, step

_CELLS = {
    event: {
        State(int(state.removeprefix("Sta"))): action
        for (row, state), action in TRANSITION_TABLE.items()
        if row == f"Evt{number}"
    }
    for number, event in enumerate(TABLE, 1)
}

_BY_CIRCUMSTANCE = ("AE-6", "AR-8")
"""Actions with two next states (PS3.8 tables 9-6 and 9-8)."""


@pytest.mark.parametrize("event", TABLE)
def test_each_row_has_the_actions_of_the_standard_and_no_others(event):
    assert {state: action for state, (action, _) in TABLE[event].items()} == _CELLS[event]


@pytest.mark.parametrize("event", TABLE)
def test_each_cell_leads_to_the_standards_next_state(event):
    for state, action in _CELLS[event].items():
        if action not in _BY_CIRCUMSTANCE:
            assert step(state, event) == (action, State(int(ACTIONS[action][2].removeprefix("Sta"))))


@pytest.mark.parametrize("event", TABLE)
def test_an_empty_cell_raises_key_error(event):
    for state in set(State) - set(_CELLS[event]):
        with pytest.raises(KeyError):
            step(state, event)


@pytest.mark.parametrize(("is_acceptor", "following"), [(False, State.STA9), (True, State.STA10)])
def test_a_release_collision_differs_for_requestor_and_acceptor(is_acceptor, following):
    assert step(State.STA7, "A-RELEASE-RQ received", is_acceptor=is_acceptor) == ("AR-8", following)
    assert f"Sta{following.value}" in ACTIONS["AR-8"][2]


@pytest.mark.parametrize(("is_refused", "following"), [(False, State.STA3), (True, State.STA13)])
def test_the_protocol_version_decides_between_acceptance_and_rejection(is_refused, following):
    assert step(State.STA2, "A-ASSOCIATE-RQ received", is_refused=is_refused) == ("AE-6", following)
    assert f"Sta{following.value}" in ACTIONS["AE-6"][2]


def test_every_state_is_reached_and_every_state_but_the_end_is_left():
    reached = {State(following) for row in TABLE.values() for _, following in row.values()} | {State.STA10}
    assert reached == set(State)
    assert {state for row in TABLE.values() for state in row} == set(State)


def test_an_association_can_end_from_every_state():
    for state in set(State) - {State.STA1}:
        assert step(state, "transport closed")[1] is State.STA1
