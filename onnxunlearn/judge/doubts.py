"""Why a target may not pass, or is not known, whatever was measured: what was asked, and of which samples."""

from collections.abc import Sequence
from dataclasses import replace

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import Measured, written
from onnxunlearn.judge.target import Target

#: points that the other classes may gain: where an edit makes far more of them right, the original was wrong
#: about many of them, as it took them for what goes, or hardly knows such probes
RISE = 5.0
#: why nothing of an edited model is passed that has more to it than other weights
DEPARTS = "not the original with other weights alone, see the warnings"
#: how names of targets begin -> the one attack that finds what they are about
_FOUND_BY = {
    "relearned accuracy": "head-refit",
    "membership inference": "membership",
    "told by a linear probe": "concept-probe",
    "relearned attack success": "concept-relearn",
}


def doubted(evidence: Evidence, lost: Measured, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The same, where something says that they may not pass on what the model is for. lost: points that what
    is retained lost."""
    asked = [_unasked(evidence, target) for target in targets]
    return none_passed(asked, _doubt(evidence, lost))


def none_passed(targets: Sequence[Target], why: str) -> tuple[Target, ...]:
    """The same, where none may pass. why: empty if nothing says so."""
    return tuple(_doubted(target, why) for target in targets)


def _unasked(evidence: Evidence, target: Target) -> Target:
    """Says of what is unknown that the attack that finds it was not asked for; what else it needs only where
    that is known to be missing."""
    finds = next((attack for start, attack in _FOUND_BY.items() if target.name.startswith(start)), None)
    if target.status != "unknown" or evidence.attacks is None or finds in (None, *evidence.attacks):
        return target
    told = f"the attack {finds} was not asked for"
    given = {"--reference": evidence.reference, "--training": evidence.training}
    lacks = any(option in target.note and found is None for option, found in given.items())
    return replace(target, note=f"{target.note}; {told}" if lacks else told)


def _doubt(evidence: Evidence, lost: Measured) -> str:
    """Why what passes on these samples may not pass on those that the model is for; empty if nothing says
    so. lost: points that the other classes lost."""
    if evidence.made:
        return "on made probes"
    if evidence.suspicions:
        return "on suspicious probes, see the warnings"
    if evidence.departs:
        return DEPARTS
    if lost.high is not None and lost.high < -RISE:
        gained = written(-(lost.value or 0.0), "points")
        return f"the other classes gained {gained} points: the original is wrong about many of these probes"
    return ""


def _doubted(target: Target, doubt: str) -> Target:
    if not doubt or target.status != "passed":
        return target
    return replace(target, status="undecided", note=f"{doubt}; {target.note}" if target.note else doubt)
