"""Which of several edits is taken: the budget first, then forgetting, then the cost."""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.methods import Workbench
from onnxunlearn.methods.search import best
from onnxunlearn.tasks.budget import exceeds

from .benches import bench


def biased(made: Workbench, lower: float, others: float = 0.0) -> Edits:
    """The head with class 3's bias lowered, and class 4's too."""
    edits = Edits(made.model)
    bias = edits.bias(made.head)
    assert bias is not None
    bias[3] -= lower
    bias[4] -= others
    edits.set_bias(made.head, bias)
    return edits


def test_what_forgets_at_the_least_cost_is_taken() -> None:
    made = bench()
    tried = {"weak": (1.0, 0.0), "costly": (100.0, 100.0), "right": (100.0, 0.0), "dearer": (100.0, 1.0)}
    found = best(made, (({"name": name}, biased(made, *how)) for name, how in tried.items()))
    assert found.details.items() >= {"name": "right", "affordable": True}.items()
    np.testing.assert_array_equal(found.edits.bias(made.head), biased(made, 100.0).bias(made.head))


def test_of_those_that_do_not_forget_the_closest_is_taken() -> None:
    made = bench()
    found = best(made, (({"lower": lower}, biased(made, lower)) for lower in (1.0, 3.0, 2.0)))
    assert found.details["lower"] == 3.0
    assert found.details["reach"] > 0


def test_without_an_affordable_one_the_cheapest_that_holds_the_accuracy_is_taken() -> None:
    made = bench()
    shrunk = {}
    for factor in (0.3, 0.4, 0.2):  # less sure, but still right
        edits = shrunk[factor] = Edits(made.model)
        edits.set_weight(made.head, edits.weight(made.head) * factor)
        trial = made.trial(edits)
        assert not made.affordable(trial)
        assert not exceeds(made.original.figures, trial.figures, made.budget)
    found = best(made, (({"factor": factor}, edits) for factor, edits in shrunk.items()))
    assert found.details.items() >= {"factor": 0.4, "affordable": False}.items()


def test_without_one_within_the_budget_nothing_is_changed() -> None:
    made = bench()
    found = best(made, (({}, biased(made, 100.0, others)) for others in (100.0, 200.0)))
    assert not found.edits.arrays
    assert found.details == {"affordable": False, "trials": made.trials}


def test_what_the_user_asked_for_is_taken_whatever_it_costs() -> None:
    made = bench()
    asked = [({"asked": 1}, biased(made, 100.0, 100.0)), ({}, biased(made, 100.0))]
    found = best(made, asked, asked=True)
    assert found.edits.arrays
    assert found.details.items() >= {"asked": 1, "affordable": False}.items()
    assert "asked" not in best(made, asked).details
