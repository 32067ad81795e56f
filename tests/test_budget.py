"""Results of all visitors: bounded by bytes, those gone first that were not used longest."""

import gc
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import QUERIES

from demo.ui.budget import RESULTS, Budget, weigh
from demo.ui.pages.identify import IdentifyHandlers
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
    assert does.inspect(result, event)["row"] == value["selected"]
    RESULTS.keep(result)
    monkeypatch.setattr(RESULTS, "most", 1)
    other = Result(shown.identify(PHOTO), shown)
    RESULTS.keep(other)
    with pytest.raises(Exception, match="expired"):
        does.inspect(result, event)
    assert RESULTS.use(other) is other
