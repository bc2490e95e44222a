import json

from onnxunlearn.methods.catalogue import catalogue

from .command import onnxunlearn


def test_every_method_is_listed_with_its_parameters() -> None:
    ran = onnxunlearn("methods")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    for entry in catalogue():
        assert f"{entry.name}: {entry.summary}" in lines
        assert all(f"    --set {p.name}=" in ran.out for p in entry.parameters)
    at = lines.index(next(line for line in lines if line.startswith("neuron-mask: ")))
    assert lines[at + 1].startswith("    --set rounds=…  gradient steps")
    assert lines[at + 2].startswith("    --set penalty=0.1  ")
    assert lines[at + 3] == "    Liu et al. 2020, arXiv:2003.10933"


def test_json_is_the_catalogue() -> None:
    found = json.loads(onnxunlearn("methods", "--json").out)
    assert found == json.loads(json.dumps([entry.to_json() for entry in catalogue()]))
    (mask,) = (entry for entry in found if entry["name"] == "mask")
    assert [(p["name"], p["default"]) for p in mask["parameters"]] == [("low", -1e4)]
