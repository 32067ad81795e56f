"""What visitors leave in memory: results bounded by bytes, lean sessions, so many distributions; and an idle app gives
back what it can."""

import gc
import weakref
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import QUERIES

from demo.calibration.reference import _REMEMBERED, Reference
from demo.methods import METHODS
from demo.ui.budget import RESULTS, Budget, weigh
from demo.ui.pages.identify import IdentifyHandlers
from demo.ui.session import Session, Tidy, give_back
from demo.ui.views.board import Result, board_value

PHOTO = QUERIES / "person-002" / "04.jpg"


@dataclass(frozen=True)
class Held:
    array: np.ndarray = field(default_factory=lambda: np.zeros(1000, np.uint8))


def test_what_is_shared_by_views_is_weighed_once():
    array, tensor = np.zeros((10, 100), np.float32), torch.zeros(10, 100)
    assert weigh(array[3]) == weigh([array, array[:2], (array.T,)]) == weigh({"a": Held(array), "b": array}) == 4000
    assert weigh([tensor, tensor[5], tensor.T]) == 4000
    assert weigh([Held(), None, 3, len, Held]) == 1000
    circle = [np.zeros(8, np.uint8)]
    circle.append(circle)
    assert weigh(circle) == 8


def test_the_longest_unused_goes_and_is_told_of():
    budget = Budget(3500)
    held = [Held() for _ in range(3)]
    for one in held:
        budget.keep(one)
    assert budget.use(held[0]) is held[0] and budget.size == 3000
    new = Held()
    budget.keep(new)
    assert [budget.use(one) is None for one in (*held, new)] == [False, True, False, False]
    assert budget.size == 3000 and budget.use(None) is None
    large = Held(np.zeros(9000, np.uint8))
    budget.keep(large)  # over the limit by itself: what is shown now stays
    assert budget.use(large) is large and budget.use(new) is None and budget.size == 9000


def test_who_is_gone_weighs_nothing():
    budget, held = Budget(3500), Held()
    budget.keep(held)
    del held
    gc.collect()
    assert budget.size == 0


def test_a_result_weighs_what_it_holds_and_not_the_gallery(identifier):
    found = identifier.identify(PHOTO, occlusion="mask", stage2="emd")
    flows = found.emd.flow.nbytes
    assert flows < weigh(Result(found, identifier)) < flows + 20e6


def test_the_page_says_that_a_result_had_to_go(engine, shown, monkeypatch):
    does = IdentifyHandlers(engine)
    result = Result(shown.identify(PHOTO), shown)
    value = board_value(result)
    event = SimpleNamespace(row=value["selected"], result=result.token)
    RESULTS.keep(result)
    result.asked = (np.zeros(1000, np.uint8),)  # it grew since
    assert does.inspect(result, event)["row"] == value["selected"]
    assert RESULTS._known[id(result)][1] == weigh(result)
    monkeypatch.setattr(RESULTS, "most", 1)
    other = Result(shown.identify(PHOTO), shown)
    RESULTS.keep(other)
    with pytest.raises(Exception, match="expired"):
        does.inspect(result, event)
    assert RESULTS.use(other) is other


def test_a_result_that_remembers_more_is_weighed_again():
    budget = Budget(3500)
    first, second = Held(), Held()
    budget.keep(first)
    budget.keep(second)
    vars(first)["more"] = np.zeros(2000, np.uint8)
    budget.keep(first)
    assert budget.size == 3000 and budget.use(second) is None and budget.use(first) is first


def test_sessions_keep_states_and_no_pictures(app):
    session = Session(app)
    number, board = next((number, block) for number, block in app.blocks.items() if block.elem_id == "board")
    session._update_value_in_config(number, {"picture": "x" * 10**6})
    assert number in session and session[number] is board and not list(session.components)
    state = next(number for number, block in app.blocks.items() if block.stateful)
    session[state] = "kept"
    assert session[state] == "kept" and [one for _, one, _ in session.state_components] == ["kept"]
    assert weigh(vars(session)["config_values"]) == 0


def test_the_app_opens_lean_sessions_and_keeps_no_statistics(app, app_url):
    assert isinstance(app.app.state_holder["a new visitor"], Session)
    app.app.state_holder.session_data.pop("a new visitor")
    records = [{"function": "identify", "status": "success", "process_time": 1.0}]
    assert app._queue.ANALYTICS_MAX_EVENTS == 1 and app._queue.compute_analytics_summary(records) == {"functions": {}}


def test_distributions_are_remembered_up_to_a_number(shown):
    reference = Reference.shipped(shown.backbone)
    method, own = METHODS["alike"](shown.backbone), Reference(shown.backbone, {}, {})
    for number in range(3 * _REMEMBERED):
        assert own.nearest(method, "plain", number / 10**4, 10) == []
    assert len(own._nearest) <= _REMEMBERED
    first = reference.nearest(method, "plain", 0.5, 100)
    assert reference.nearest(method, "plain", 0.5, 100) is first


def test_an_idle_app_cleans_up_once_after_every_stretch_of_work_and_a_busy_one_trims():
    state, cleaned, trimmed = [0], [], []
    tidy = Tidy(lambda: tuple(state), lambda: cleaned.append(state[0]), lambda: trimmed.append(state[0]))
    for work, *expected in ((0, 0, 0), (0, 0, 0), (1, 0, 1), (1, 0, 2), (0, 1, 2), (0, 1, 2), (1, 1, 3), (0, 2, 3)):
        state[0] += work
        tidy.look()
        assert [len(cleaned), len(trimmed)] == expected


def test_giving_back_frees_what_hangs_in_circles():
    class Circle:
        pass

    circle = Circle()
    circle.own, gone = circle, weakref.ref(circle)
    del circle
    give_back()
    assert gone() is None
