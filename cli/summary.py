"""What `run` did, on the terminal: which bytes changed, by which method, on which probes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxunlearn.choices import DEEP

from . import console

if TYPE_CHECKING:
    from onnxunlearn.probes import Labels


def show(report: dict[str, Any], verbose: bool) -> None:
    """What the report says of the run itself. verbose: also the numbers that the method chose."""
    say = console.out.print
    changes, probes, engine = report["changes"], report["probes"], report["engine"]
    places = ", ".join(_place(tensor) for tensor in changes["tensors"]) or "nothing"
    say(f"\nchanged: {_bytes(changes)}, in {places}")
    for name, note in changes["notes"].items():
        say(f"         {name}: {note}")
    counts = f"{probes['choosing']} to choose by, {probes['judging']} to judge"
    if copies := report["judged"]["copies"]:
        counts += f" ({copies} are copies of others: none judges what it chose, or twice)"
    say(f"depth:   {report['method']['depth']}")
    say(f"probes:  {counts}, labels {probes['labels']}{_origin(probes)}")
    if (retain := probes.get("retain")) is not None:
        chose, judged, left_out = (retain[name] for name in ("choosing", "judging", "left_out"))
        left = f" ({left_out} of the class, or copies, are left out)" if left_out else ""
        say(f"retain:  {chose} more to choose by, {judged:,} to judge, that nobody named{left}")
    say(f"method:  {_method(report['method'], verbose)}")
    providers = ", ".join(engine["providers"])
    say(f"time:    {sum(report['seconds'].values()):.1f} s on {engine['name']} ({providers})")


def show_classes(report: dict[str, Any], labels: Labels) -> None:
    """Each class's accuracy, before and after."""
    figures = [report["figures"][name] for name in ("original", "edited", "mask")]
    table = console.table("\naccuracy by class", ">original", ">unlearned", ">mask only")
    for c in range(report["model"]["classes"]):
        table.add_row(labels.shown(c), *(console.percent(f["per_class"][c]) for f in figures))
    console.out.print(table)


def show_written(edited: dict[str, Any], folder: Path) -> None:
    """Every file but the report, in `folder`."""
    for title, file in [("written:", edited), *(("data:   ", data) for data in edited.get("data", ()))]:
        console.out.print(f"{title} {folder / file['path']}  sha256 {file['sha256'][:16]}…")


def _bytes(changes: dict[str, Any]) -> str:
    """How many differ; or of values alone, where numbers as long as they need (varints) move the rest."""
    before, after = map(console.number, changes["sizes"])
    if before == after:
        return f"{console.number(changes['bytes'])} of {before} bytes"
    values = console.number(sum(tensor["bytes"] for tensor in changes["tensors"]))
    return f"{values} bytes of values (and what lies behind them moved: {after} bytes, {before} before)"


def _place(tensor: dict[str, Any]) -> str:
    rows = len(tensor["rows"])
    return f"{tensor['name']} ({rows} row{'' if rows == 1 else 's'})" if rows else str(tensor["name"])


def _origin(probes: dict[str, Any]) -> str:
    """Which probes no user gave, and what that means for the figures."""
    made, choosing = probes["made"], probes["choosing"]
    if made["judging"]:
        return "; all made from the model: figures on them say little of real inputs"
    if made["choosing"]:
        why = "as few or none of other classes were given"
        return f"; {made['choosing']} of the {choosing} made from the model, {why}"
    return ""


def _method(method: dict[str, Any], verbose: bool) -> str:
    """What was chosen and, where it is not what would go deepest, why; of a detector's heads each once."""
    details = method["details"]
    heads = list(details["heads"].values()) if "heads" in details else [details]
    told = [
        _numbers(head) if verbose else _chosen(head) for head in heads if method["name"] == "auto" or verbose
    ]
    what = ": ".join(filter(None, (method["name"], "; ".join(filter(None, dict.fromkeys(told))))))
    why = "; ".join(dict.fromkeys(head["why"] for head in heads if head.get("why")))
    return f"{what}, because {why}" if why else what


def _numbers(details: dict[str, Any]) -> str:
    """All that is one word or number."""
    shown = {k: v for k, v in details.items() if isinstance(v, str | int | float) and k != "why"}
    return ", ".join(f"{k} {v}" for k, v in shown.items())


def _chosen(details: dict[str, Any]) -> str:
    """What `auto` chose, how much of it, and how far back it reaches."""
    whole = "images" in details  # a detector's
    if not whole and "chosen" not in details:
        where = "erase in the class branches" if "places" in details else "erase of each head"
        return (where if details["layers"] else "head") if "layers" in details else ""
    share, manner = details.get("share", 1), details.get("manner", "")
    deep = "deep" if details.get("depth") == DEEP and not whole else ""
    name = "erase in whole images" if whole else details["chosen"]
    words = " ".join(filter(None, ("" if share == 1 else f"{share:.0%} of", manner, deep, name)))
    return words + (" (most weights lie in front of the last block)" if manner else "")
