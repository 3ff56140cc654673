from __future__ import annotations

import copy
import json
import pickle

import pytest

from dbroute_panel.recording.carrier import Carrier, carry, decision_behind


@pytest.fixture
def carrier():
    return carry("primary", (1, None, 7, None, None, "a" * 32))


def test_it_is_the_alias_in_every_way_that_django_and_people_use_strings(carrier):
    assert carrier == "primary"
    assert hash(carrier) == hash("primary")
    assert {"primary": 1}[carrier] == 1
    assert {carrier: 1}["primary"] == 1
    assert isinstance(carrier, str)
    assert (str(carrier), f"{carrier}", "%s" % carrier, repr(carrier)) == (  # noqa: UP031
        "primary",
        "primary",
        "primary",
        "'primary'",
    )
    assert type(str(carrier)) is str


def test_it_knows_its_decision_in_its_own_trace_only(carrier):
    assert decision_behind(carrier, "a" * 32) == 7
    assert decision_behind(carrier, "b" * 32) is None
    assert decision_behind("primary", "a" * 32) is None
    assert decision_behind(None, "a" * 32) is None


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_makes_it_a_plain_string(carrier, protocol):
    unpickled = pickle.loads(pickle.dumps(carrier, protocol))
    assert type(unpickled) is str
    assert unpickled == "primary"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda alias: json.loads(json.dumps(alias))])
def test_copies_and_json_make_it_a_plain_string(carrier, how):
    assert type(how(carrier)) is str
    assert how(carrier) == "primary"


def test_a_copied_container_holds_a_plain_string(carrier):
    assert type(copy.deepcopy({"db": [carrier]})["db"][0]) is str


def test_it_holds_nothing_but_where_it_was_asked(carrier):
    assert not hasattr(carrier, "__dict__")
    assert carrier.asked == (1, None, 7, None, None, "a" * 32)
    assert Carrier.__slots__ == ("asked",)
