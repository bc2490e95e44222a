from onnxunlearn.graph import find_logits, load
from onnxunlearn.reverse import bottlenecks
from tests.sample_paths import SAMPLES


def test_bottlenecks_are_the_ends_of_blocks() -> None:
    model = load(SAMPLES / "mnist_resnet.onnx")
    logits = find_logits(model).tensor
    found = [name for name, _ in bottlenecks(model, logits)]
    blocks = [node.outputs[0] for node in model.nodes if node.kind == "Add"]
    assert set(blocks) <= set(found)
    inside = [node.outputs[0] for node in model.nodes if "/conv" in node.name or "/norm" in node.name]
    assert len(inside) == 12  # two convolutions and two normalisations in each of three blocks
    assert not set(inside) & set(found)
