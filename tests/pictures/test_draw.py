"""From a model and probes to a folder of pictures and one page."""

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import PIL.Image
import pytest
from onnx import numpy_helper

from onnxunlearn import explain
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.pictures import draw, drawing
from tests.pictures.models import (
    image_model,
    inputs_of,
    series_model,
    table_model,
    token_ids,
    token_model,
    weights,
)

IMAGES = inputs_of(6, 1, 6, 6)
HOSTILE = ["</style><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & $x$"]
#: elements without an end
_VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Tags with their attributes, in order; checks that they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def edited(data: bytes, name: str = "v") -> bytes:
    """The same model with another initializer."""
    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(weights(*tensor.dims, seed=9), name))
    return bytes(model.SerializeToString())


def page_of(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


KINDS: dict[str, tuple[bytes, dict[str, np.ndarray]]] = {
    "grey": (image_model(), IMAGES),
    "colour": (image_model(3), inputs_of(6, 3, 6, 6)),
    "channels last": (image_model(3, nhwc=True), inputs_of(6, 6, 6, 3)),
    "five channels": (image_model(5), inputs_of(6, 5, 6, 6)),
    "series": (series_model(), inputs_of(6, 2, 20)),
    "table": (table_model(), inputs_of(6, 7)),
    "tokens": (token_model(), token_ids()),
}


@pytest.mark.parametrize("compare", [False, True], ids=["alone", "compared"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(tmp_path: Path, kind: str, compare: bool) -> None:
    data, probes = KINDS[kind]
    folder = tmp_path / "pictures"
    drawing = draw(data, probes, folder, "label", samples=1, compare=edited(data) if compare else None)
    expected = ["class_0.png", "class_1.png", "class_2.png", "layers.png", "index.html"]
    assert [p.name for p in drawing.files] == expected
    assert sorted(p.name for p in folder.iterdir()) == sorted(expected)
    assert drawing.classes == (0, 1, 2)
    assert [layer.name for layer in drawing.layers] in (["conv"], ["hidden"])
    assert all((layer.edited is not None) == compare for layer in drawing.layers)
    for path in drawing.files[:-1]:
        with PIL.Image.open(path) as image:
            image.load()
            assert min(image.size) > 200
    page = Page(page_of(folder))
    uris = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert [base64.b64decode(uri.partition(",")[2]) for uri in uris if uri] == [
        path.read_bytes() for path in drawing.files[:-1]
    ]


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    draw(image_model(), IMAGES, tmp_path, "label", labels=HOSTILE)
    text = page_of(tmp_path)
    assert not re.search(r"https?:|//\w", re.sub(r"base64,[^\"]*", "", text))
    page = Page(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "form", "base"})
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("data:image/png;base64,", "#")), (
                tag,
                attributes,
            )
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    vocabulary = [f"<b onclick=alert({i})>" for i in range(12)]
    draw(token_model(), token_ids(), tmp_path, "label", labels=HOSTILE, vocabulary=vocabulary)
    page = Page(page_of(tmp_path))
    for name in (*HOSTILE, vocabulary[int(token_ids()["ids"][0, 0])]):
        assert name in page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b onclick"})
    assert not [
        attributes for _, attributes in page.tags if "onclick" in attributes or "onerror" in attributes
    ]


def test_the_small_print_says_how_to_make_it_again(tmp_path: Path) -> None:
    import hashlib

    data, other = image_model(), edited(image_model())
    draw(data, IMAGES, tmp_path, 1, compare=other, samples=2, start="contrast")
    text = Page(page_of(tmp_path)).text
    for fact in (
        hashlib.sha256(data).hexdigest(),
        hashlib.sha256(other).hexdigest(),
        "epsilon_plus_flat",
        "contrast",
        "the first 2 of the class, by their label",
        "onnxunlearn",
    ):
        assert fact in text


@pytest.mark.parametrize(
    ("data", "probes", "composite"),
    [(image_model(), IMAGES, "epsilon_plus_flat"), (table_model(), inputs_of(3, 7), "epsilon_plus")],
)
def test_the_default_composite_fits_the_model(
    tmp_path: Path, data: bytes, probes: dict[str, np.ndarray], composite: str
) -> None:
    assert draw(data, probes, tmp_path, 0).composite == composite


def test_layers_have_the_relevance_of_explain(tmp_path: Path) -> None:
    (layer,) = draw(image_model(), IMAGES, tmp_path, "label", composite="epsilon_plus").layers
    relevance = explain(image_model(), IMAGES, "label", composite="epsilon_plus", tensors=["c"])["c"]
    np.testing.assert_allclose(layer.mean, relevance.sum(axis=(2, 3)).mean(axis=0), rtol=1e-4, atol=1e-6)


def test_a_model_compared_with_itself_differs_nowhere(tmp_path: Path) -> None:
    (layer,) = draw(table_model(), inputs_of(3, 7), tmp_path, 0, compare=table_model()).layers
    assert layer.edited is not None
    np.testing.assert_array_equal(layer.mean, layer.edited)


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [draw(*KINDS["tokens"], tmp_path / name, "label").files for name in ("one", "two")]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]


def test_fewer_samples_fewer_rows(tmp_path: Path) -> None:
    sizes = []
    for count in (1, 2):
        draw(table_model(), inputs_of(6, 7), tmp_path, 0, samples=count, overwrite=True)
        with PIL.Image.open(tmp_path / "class_0.png") as image:
            sizes.append(image.size[1])
    assert sizes[0] < sizes[1]


def test_tokens_under_a_mask(tmp_path: Path) -> None:
    probes = token_ids(6, 9)
    probes["mask"] = (np.arange(9) < 6).astype(np.int64) * np.ones((6, 1), np.int64)
    probes["ids"][:, 6:] = 0
    draw(token_model(mask=True), probes, tmp_path, 1, vocabulary=[f"t{i}" for i in range(12)])
    tokens = [attributes for tag, attributes in Page(page_of(tmp_path)).tags if tag == "span"]
    assert len(tokens) == 2 * 6  # the padding is not drawn
    assert all("background:#" in (a["style"] or "") for a in tokens)


def test_a_model_with_one_layer_only(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    from tests.pictures.models import model_bytes

    node = helper.make_node("Gemm", ["x", "w"], ["logits"], name="only")
    data = model_bytes([node], {"x": (TensorProto.FLOAT, ["N", 4])}, {"w": weights(4, 3)})
    assert [layer.name for layer in draw(data, inputs_of(3, 4), tmp_path, 0).layers] == ["only"]


def refusals() -> list[Any]:
    token = token_model()
    return [
        pytest.param({"target": "horse"}, InputError, "unknown class", id="class"),
        pytest.param({"samples": 0}, InputError, "samples=0; expected a whole number", id="samples"),
        pytest.param({"composite": "nonsense"}, InputError, "nonsense", id="composite"),
        pytest.param({"input_name": "z"}, InputError, "no input 'z'", id="input"),
        pytest.param({"compare": token}, InputError, "its inputs differ", id="other inputs"),
        pytest.param({"compare": image_model(3)}, InputError, "its inputs differ", id="other shape"),
        pytest.param({"labels": ["a"]}, InputError, "1 labels", id="labels"),
        pytest.param({"vocabulary": "none.txt"}, InputError, "no such file", id="vocabulary"),
        pytest.param({"engine": "abacus"}, InputError, "unknown engine", id="engine"),
    ]


@pytest.mark.parametrize(("options", "error", "message"), refusals())
def test_refusals_leave_nothing_behind(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    folder = tmp_path / "pictures"
    with pytest.raises(error, match=message) as raised:
        draw(image_model(), IMAGES, folder, **{"target": "label", **options})
    assert len(str(raised.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_relevance_cannot_pass_leaves_nothing_behind(tmp_path: Path) -> None:
    model = onnx.load_from_string(image_model())
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Det"  # for the checker a square matrix will do
    with pytest.raises((UnsupportedError, InputError)):
        draw(model.SerializeToString(), IMAGES, tmp_path / "pictures", "label")
    assert list(tmp_path.iterdir()) == []


def test_other_classes_cannot_be_compared(tmp_path: Path) -> None:
    model = onnx.load_from_string(table_model())
    for tensor in model.graph.initializer:
        if tensor.name == "v":
            tensor.CopyFrom(numpy_helper.from_array(weights(6, 4), "v"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    with pytest.raises(InputError, match="4 classes, not 3"):
        draw(table_model(), inputs_of(3, 7), tmp_path / "p", 0, compare=model.SerializeToString())


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_missing_packages_say_what_to_install(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> object | None:
        return None if name == package else object()

    monkeypatch.setattr(drawing, "find_spec", absent)
    with pytest.raises(InputError, match=rf"{package}.*pip install 'onnxunlearn\[pictures\]'"):
        draw(image_model(), IMAGES, tmp_path / "p", 0)


def test_importing_the_package_needs_no_matplotlib() -> None:
    import subprocess

    code = "import sys, onnxunlearn.pictures, onnxunlearn.cli; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pyplot_is_not_touched(tmp_path: Path) -> None:
    draw(table_model(), inputs_of(3, 7), tmp_path, 0)
    assert "matplotlib.pyplot" not in sys.modules
