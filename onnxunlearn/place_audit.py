"""An audit where classes are said at places: the same attacks at places drawn, and figures at all of them."""

from collections.abc import Sequence

from onnxunlearn import judge
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.inquiry.compared import Compared
from onnxunlearn.inquiry.unnamed_places import UnnamedPlaces
from onnxunlearn.judge.attacks.attackers.training import multiply_adds
from onnxunlearn.judge.attacks.attackers.tuning import MOST, costly
from onnxunlearn.judge.report import about_audit
from onnxunlearn.judge.subject import Subject
from onnxunlearn.probes import Probes, Source

#: attacks that ask features alone, which are those of the place
ATTACKS = frozenset({"head-refit", "full-probe", "nearest", "prototypes", "small-network", "whitened"})
#: the one that trains the model further without being asked to, and all that do
_UNASKED = "fine-tune"
_TUNING = frozenset({_UNASKED, "fine-tune-block", "fine-tune-head"})


def check_attacks(names: Sequence[str] | None) -> None:
    """Raises InputError unless all of them are covered."""
    covered = ATTACKS | _TUNING
    if other := sorted(set(names or ()) - covered):
        raise InputError(
            f"attack {other[0]}: not where classes are said at places; give {', '.join(sorted(covered))}"
        )


def attacks_on(
    original: Subject, probes: Probes, names: Sequence[str] | None, *, by_layer: bool
) -> tuple[frozenset[str], list[str]]:
    """Those that are asked, and notes. names: that were asked for; None: all that do not take long."""
    if names is not None:
        return frozenset(names), []
    if not by_layer:
        return ATTACKS, []
    cost = multiply_adds(original, probes)
    return (ATTACKS | {_UNASKED}, []) if cost <= MOST else (ATTACKS, [f"{_UNASKED}: not run, {costly(cost)}"])


def audit_places(
    inquiry: Inquiry,
    compared: Compared,
    data: Source | None,
    attacks: Sequence[str] | None,
    *,
    by_layer: bool,
) -> judge.Findings:
    """`examine` for such models. attacks: those to ask, of ATTACKS or that fine-tune.

    Raises InputError for bad input, and for other attacks.
    """
    placing, chosen = inquiry.placing, inquiry.options
    assert placing is not None
    check_attacks(attacks)
    each = {name: inquiry.placing_of(model, name) for name, model in compared.models.items()}
    chosen.progress("running the models")
    original, labels = inquiry.original, inquiry.labels
    scenes = placing.read(data, inquiry.model, labels, original, chosen.preprocess)
    scenes, copies = placing.distinct(scenes, inquiry.forget, labels)
    parts = placing.halves(scenes, inquiry.forget, chosen.seed)
    drawn = [placing.drawn(part, inquiry.forget, chosen.seed, inquiry.engine, judge=True) for part in parts]
    exposed, probes = drawn[0], drawn[-1]
    inquiry.check_placed(probes, given=scenes.given)
    mask, said = inquiry.mask(probes)
    how = inquiry.engine, chosen.batch_size, original
    subjects = {name: one.subject(compared.models[name], *how) for name, one in each.items()}
    subjects |= {"original": original, "mask": mask}
    unnamed = UnnamedPlaces.of(inquiry, data, scenes.probes, choose=False, judge=True)
    placed = inquiry.placed(subjects, scenes, None if unnamed is None else unnamed.judging)
    asked, notes = attacks_on(original, probes, attacks, by_layer=by_layer)
    evidence = judge.Evidence(
        inquiry.task(probes),
        subjects,
        probes,
        exposed,
        labels=labels,
        thorough=by_layer or attacks is not None,
        attacks=asked,
        compared=True,
        seed=chosen.seed,
        copies=copies,
        notes=(placing.background_note(labels, scenes), *said, *notes),
        placed=placed,
        departs=compared.departs,
        progress=chosen.progress,
    )
    logits: dict[str, Logits] = {"original": placing.reported}
    logits |= {name: one.reported for name, one in each.items()}
    origins = {"judging": probes.origin, **({} if unnamed is None else {"retain": unnamed.origin})}
    about = about_audit(compared.files, logits, labels, origins, compared.doubts(probes))
    about |= inquiry.about_places(placed)
    by = "given" if scenes.given else "from the original"
    return judge.judge(evidence, chosen.max_retain_drop, by, about)
