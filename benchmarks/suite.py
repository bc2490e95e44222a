"""All that docs/performance.md says in numbers: measured, kept as JSON, and written into the page.

    python benchmarks/suite.py [--models FOLDER] [--images FOLDER] [--part NAME …]     # make bench
    python benchmarks/suite.py --quick                                                 # make bench-quick
    python benchmarks/suite.py --render                            # the page from what is known, nothing anew

Parts run one after the other, each a command of its own; what a part measured replaces what it had measured
before in benchmarks/results/performance.json, row by row, and says on what machine and how busy that was. The
page's tables stand between two comments each; what is between them is never written by hand. --quick, some
minutes, measures what is told by ratios and one whole run, and writes nothing; it fails where a ratio is
beyond its bound.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import click
from real_size import ROWS, table

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results" / "performance.json", HERE.parent / "docs" / "performance.md"
PICTURE = PAGE.parent / "pictures" / "growth.png"
#: of relevance_speed.py: what the others are told in, and what is behind a network's name on two threads
FORWARD, TWO = "forward, onnxruntime", ", two threads"

Results = dict[str, Any]


def command(script: str, *arguments: str) -> None:
    """Run a benchmark of this folder."""
    subprocess.run([sys.executable, str(HERE / script), *arguments], check=True)


def measured(script: str, *arguments: str) -> Any:
    """The JSON that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.json"
        command(script, *arguments, "--json", str(path))
        return json.loads(path.read_text())


def taken() -> str:
    """Where, when, and how busy."""
    load = f"{os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else "unknown"
    day = datetime.now(UTC).date()
    return f"{day}, {os.cpu_count()} cores, {platform.machine()}, load {load} as it ended"


def real(names: Sequence[str], models: Path, images: Path | None) -> list[Results]:
    """Rows of real_size.py, one after the other: what one costs the others do not feel."""
    rows = []
    for name in names:
        arguments = ["--models", str(models), "--row", name]
        found = measured("real_size.py", *arguments, *(["--images", str(images)] if images else []))
        rows += [row | {"taken": taken()} for row in found]
    return rows


def relevance_table(found: Mapping[str, Any]) -> str:
    """A line a network and what was run; times the pass forward on as many threads."""
    lines = [
        "| network | what | seconds | × forward | × forward, two threads | × as fast as zennit |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for network, seconds in found["networks"].items():
        if network.endswith(TWO):
            continue
        medians = {name: median(times) for name, times in seconds.items()}
        on_two = {name: median(times) for name, times in found["networks"].get(network + TWO, {}).items()}
        zennit = medians.get("relevance, zennit")
        for name, value in medians.items():
            faster = f"{zennit / value:.1f}" if zennit and name.startswith("relevance,") else ""
            times = [f"{m[name] / m[FORWARD]:.1f}" if name in m else "" for m in (medians, on_two)]
            lines.append(f"| {network} | {name} | {value:.3f} | {' | '.join(times)} | {faster} |")
    return "\n".join([*lines, "", f"Taken: {found['taken']}."])


def growth_table(found: Mapping[str, Any]) -> str:
    """A line a size; what a whole run and relevance take, in seconds and in passes over its probes."""
    lines = [
        "| grows | probes a class | parameters | classes | blocks | run | relevance | in passes | pass |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for axis, points in found["networks"].items():
        for p in points:
            sizes = f"{p['probes']} | {p['parameters']:,} | {p['classes']} | {p['blocks']}"
            passes = f"{p['relevance'] / p['forward']:.1f}"
            told = f"{p['run']:.1f} | {p['relevance']:.3f} | {passes} | {p['forward']:.3f}"
            lines.append(f"| {axis} | {sizes} | {told} |")
    return "\n".join([*lines, "", f"Taken: {found['taken']}."])


def peers_table(found: Mapping[str, Any]) -> str:
    """Times the forward pass; what a peer said where it cannot, below."""
    peers, own = ("zennit", "captum", "LXT"), ("epsilon_plus", "attnlrp", "cp_lrp")
    headings = [*(f"`{rules}`" for rules in own), *peers]
    lines = [
        f"| network, batch | forward, s | {' | '.join(headings)} |",
        "|---|" + "--:|" * (1 + len(headings)),
    ]
    refused: dict[tuple[str, str], list[str]] = {}
    for network, row in found["networks"].items():
        medians = {name: median(times) for name, times in row["seconds"].items()}
        forward = medians["forward"]
        times = [f"{medians[n] / forward:.1f}" if n in medians else "" for n in (*own, *peers)]
        lines.append(f"| {network}, {row['batch']} | {forward:.3f} | {' | '.join(times)} |")
        for peer, reason in row["refused"].items():
            refused.setdefault((peer, reason), []).append(network.split(",")[0])
    why = [f"* {peer} on {', '.join(where)}: `{reason}`" for (peer, reason), where in refused.items()]
    return "\n".join([*lines, "", *why, "", f"Taken: {found['taken']}."])


def real_table(rows: Sequence[Results]) -> str:
    order = {row.name: i for i, row in enumerate(ROWS)}
    rows = sorted(rows, key=lambda row: order.get(row["row"], len(order)))
    what = [f"* `{row.name}`: {row.what}" for row in ROWS if any(r["row"] == row.name for r in rows)]
    when = [f"`{row['row']}` {row['taken']}" for row in rows]
    return "\n".join([*what, "", table(rows), "", f"Taken: {'; '.join(when)}."])


def devices_table(found: Mapping[str, Any]) -> str:
    lines = ["| | what | seconds |", "|---|---|--:|"]
    for network, medians in found["networks"].items():
        lines += [f"| {network} | {name} | {value:.3f} |" for name, value in medians.items()]
    return "\n".join([*lines, "", f"Taken: {found['taken']}."])


#: part -> what makes its table
TABLES: Mapping[str, Callable[[Any], str]] = {
    "relevance": relevance_table,
    "peers": peers_table,
    "real": real_table,
    "devices": devices_table,
    "growth": growth_table,
}


def rendered(page: str, results: Mapping[str, Any]) -> str:
    """The page with the tables of what was measured. Raises ValueError if it has no place for one."""
    for part, found in results.items():
        begin, end = f"<!-- {part}: made by benchmarks/suite.py -->\n", f"\n<!-- end of {part} -->"
        before, first, rest = page.partition(begin)
        _, last, after = rest.partition(end)
        if not (first and last):
            raise ValueError(f"{PAGE.name}: no place for {part}; put {begin.strip()} and {end.strip()}")
        page = f"{before}{begin}\n{TABLES[part](found)}\n{end}{after}"
    return page


def kept(results: Results, part: str, found: Any) -> Results:
    """With what a part measured in the place of what it had measured before; rows by their names."""
    if part != "real":
        return results | {part: {"networks": found, "taken": taken()}}
    rows = {row["row"]: row for row in [*results.get(part, []), *found]}
    return results | {part: list(rows.values())}


@click.command()
@click.option("--models", default="build/real_size", type=click.Path(path_type=Path), show_default=True)
@click.option("--images", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--part", "parts", multiple=True, type=click.Choice(list(TABLES)), help="Default: all.")
@click.option("--quick", is_flag=True)
@click.option("--render", is_flag=True, help="Measure nothing.")
def main(models: Path, images: Path | None, parts: tuple[str, ...], quick: bool, render: bool) -> None:
    """Measure, keep, write the page."""
    if quick:
        command("ratios.py")
        command("relevance_speed.py", "--repeats", "1", "--small")
        command("real_size.py", "--models", str(models), "--row", "vit_small")
        return
    results: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    names = [row.name for row in ROWS if images is not None or not row.images]
    measure: dict[str, Callable[[], Any]] = {
        "relevance": lambda: measured("relevance_speed.py", "--two"),
        "peers": lambda: measured("relevance_peers.py"),
        "real": lambda: real(names, models, images),
        "devices": lambda: measured("gpu.py"),
        "growth": lambda: measured("growth.py", "--picture", str(PICTURE)),
    }
    for part in () if render else parts or TABLES:
        results = kept(results, part, measure[part]())
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")  # what comes next may take an hour
    PAGE.write_text(rendered(PAGE.read_text(), results))


if __name__ == "__main__":
    main()
