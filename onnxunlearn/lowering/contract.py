"""What a pass takes for granted and what it promises, and that both hold.

    @lowering_pass("widen", requires=[dense], ensures=[single])
    def widen(model: Model) -> Model: …

Where a pass changed something, its conditions and those of every pass (`same_ends`, `well_formed`) are
checked at run time, too: they walk over the nodes once. That a second run changes nothing is checked where
`THOROUGH` says so, as it does in all tests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model
from onnxunlearn.registry import Registry

#: whether to check what costs as much as the pass itself
THOROUGH = False

#: what breaks the condition in a model, in a few words; empty if it holds
Condition = Callable[[Model], str]


@dataclass(eq=False)
class Pass:
    """A step of lowering. Called like its function `run`: the model itself if there is nothing to do.

    requires, ensures: of the model that goes in, and of the one that comes out. Raises UnsupportedError if
    one does not hold: what follows could not be trusted.
    """

    name: str
    run: Callable[[Model], Model] = field(repr=False)
    requires: tuple[Condition, ...] = ()
    ensures: tuple[Condition, ...] = ()

    def __call__(self, model: Model) -> Model:
        made = self.run(model)
        if made is model:
            return model
        broken = [f"it requires {why}" for condition in self.requires if (why := condition(model))]
        conditions = (*self.ensures, well_formed)
        broken += [f"it left {why}" for condition in conditions if (why := condition(made))]
        broken += [why for why in (same_ends(model, made),) if why]
        if THOROUGH and self.run(made) is not made:
            broken.append("a second run changes the model again")
        if broken:
            raise UnsupportedError(f"the pass {self.name!r} broke the model: {'; '.join(broken)}")
        return made


passes: Registry[Pass] = Registry("lowering pass")


def lowering_pass(
    name: str, requires: Sequence[Condition] = (), ensures: Sequence[Condition] = ()
) -> Callable[[Callable[[Model], Model]], Pass]:
    """Registers a function as a pass of this name."""

    def register(run: Callable[[Model], Model]) -> Pass:
        made = Pass(name, run, tuple(requires), tuple(ensures))
        update_wrapper(made, run)
        return passes(name)(made)

    return register


def well_formed(model: Model) -> str:
    """Every tensor is made once, and before it is read; the outputs are made."""
    known = {i.name for i in model.graph.input} | model.initializers.keys()
    known |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    for node in model.nodes:
        for name in node.inputs:
            if name and name not in known:
                return f"{node}, which reads {name!r} before it is made"
        for name in filter(None, node.outputs):
            if name in known:
                return f"{node}, which makes {name!r} a second time"
            known.add(name)
    missing = [o.name for o in model.graph.output if o.name not in known]
    return f"nothing that makes the output {missing[0]!r}" if missing else ""


def same_ends(before: Model, after: Model) -> str:
    """What is fed and the outputs keep names and order."""
    ends = [
        ("inputs", *([i.name for i in m.inputs] for m in (before, after))),
        ("outputs", *([o.name for o in m.graph.output] for m in (before, after))),
    ]
    for what, had, has in ends:
        if had != has:
            return f"its {what} were {', '.join(had)} and are {', '.join(has)}"
    return ""
