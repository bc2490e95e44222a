"""Sheets of every kind, drawn from made-up relevance and decoded again."""

import io
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest

from onnxunlearn.pictures.canvas import MARGIN, SCALE, Canvas, one_line, shortened
from onnxunlearn.pictures.colours import colours
from onnxunlearn.pictures.concentration import LayerRelevance
from onnxunlearn.pictures.evidence import score
from onnxunlearn.pictures.images import draw_images
from onnxunlearn.pictures.layers import draw_layers
from onnxunlearn.pictures.pixels import displayed
from onnxunlearn.pictures.rows import draw_bars, draw_series
from onnxunlearn.pictures.sheet import DIFFERENCE, EDITED, ORIGINAL, Prediction, Sample, Sheet
from onnxunlearn.pictures.tokens import spans, without_padding
from onnxunlearn.probes import Preprocess

#: letters are not quite grey
INK = 25
SAID = Prediction("cat", "0.98", False)


def pixels(png: bytes) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert image.info.keys() <= {"dpi"}  # no time, no version
        return np.asarray(image.convert("RGB")).astype(int)


def sheet(value: np.ndarray, *maps: np.ndarray, samples: int = 3, title: str = "cat") -> Sheet:
    titles = [ORIGINAL, EDITED, DIFFERENCE][: len(maps)]
    sample = Sample(
        value,
        title,
        dict(zip(titles, maps, strict=True)),
        {t: SAID for t in titles if t != DIFFERENCE},
    )
    return Sheet(0, title, "how", [sample] * samples)


def images(relevance: float, maps: int = 1) -> Sheet:
    return sheet(np.zeros((6, 6, 3)), *[np.full((6, 6), relevance)] * maps)


def colourful(picture: np.ndarray) -> np.ndarray:
    """How far each pixel is from grey, above the colour scale."""
    return np.ptp(picture, axis=-1)[: -round(SCALE * 144)]


def test_zero_relevance_leaves_a_sheet_without_colour() -> None:
    assert colourful(pixels(draw_images(images(0.0)))).max() < INK


@pytest.mark.parametrize(("sign", "strong", "weak"), [(1, 0, 2), (-1, 2, 0)])
def test_positive_relevance_is_red_and_negative_blue(sign: int, strong: int, weak: int) -> None:
    picture = pixels(draw_images(images(float(sign))))
    spots = picture[: -round(SCALE * 144)][colourful(picture) > 60]
    assert len(spots) > 1000
    assert (spots[:, strong] > spots[:, weak]).all()


def test_opposite_sheets_share_the_scale() -> None:
    """The scale is symmetric: R and -R have the same limits, written on the sheet as the same bar."""
    bar = slice(-round(SCALE * 144), None)
    one, other = (pixels(draw_images(images(v))) for v in (1.0, -1.0))
    np.testing.assert_array_equal(one[bar], other[bar])


def test_the_difference_does_not_change_the_scale() -> None:
    one = sheet(np.zeros((6, 6, 3)), np.ones((6, 6)), np.ones((6, 6)), np.full((6, 6), -9.0))
    assert [float(r.max()) for r in one.scaled] == [1.0] * 6
    assert colourful(pixels(draw_images(one))).max() > 60


@pytest.mark.parametrize("draw", [draw_bars, draw_series])
@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize("length", [1, 300])
def test_rows(draw: Callable[[Sheet], bytes], maps: int, length: int) -> None:
    relevance = np.linspace(-1, 1, length)
    names = np.array([f"token {i}" for i in range(length)], object)
    value = names if draw is draw_bars else np.random.default_rng(0).standard_normal((6, length))
    picture = pixels(draw(sheet(value, *[relevance] * maps)))
    assert colourful(picture).max() > 60
    assert picture.shape[1] > picture.shape[0] * 0.8


@pytest.mark.parametrize("draw", [draw_bars, draw_series])
def test_rows_without_any_relevance(draw: Callable[[Sheet], bytes]) -> None:
    value = np.array(["a", "b"], object) if draw is draw_bars else np.zeros((1, 2))
    assert colourful(pixels(draw(sheet(value, np.zeros(2))))).max() < INK


@pytest.mark.parametrize("shape", [(1, 1), (6, 40), (40, 6), (200, 200)])
def test_images_of_any_size(shape: tuple[int, int]) -> None:
    pixels(draw_images(sheet(np.zeros((*shape, 3)), np.ones(shape), samples=1)))


def test_names_are_drawn_as_they_are(recwarn: pytest.WarningsRecorder) -> None:
    names = ["$x^2$", "$", "a\nb\tc", "<b>", "名前 🐈", "x" * 500, "\\frac{", "a_b^c"]
    for draw, value in (
        (draw_images, np.zeros((6, 6, 3))),
        (draw_bars, np.array(names, object)),
    ):
        shape = value.shape[:2]
        samples = [sheet(value, np.ones(shape), title=name, samples=1).samples[0] for name in names]
        pixels(draw(Sheet(0, names[0], names[6], samples)))
    pixels(draw_layers([LayerRelevance(name, "Conv", np.ones(3)) for name in names], names[0]))
    assert not recwarn.list


def test_the_same_drawing_has_the_same_bytes() -> None:
    assert draw_images(images(1.0)) == draw_images(images(1.0))


def test_a_very_tall_sheet_is_still_a_picture() -> None:
    canvas = Canvas(2, 1000)
    canvas.text(MARGIN, 1, "tall")
    assert pixels(canvas.png()).shape[0] <= 30_000


def test_layers() -> None:
    rng = np.random.default_rng(0)
    layers = [
        LayerRelevance("conv", "Conv", rng.standard_normal(30)),
        LayerRelevance("conv2", "Conv", rng.standard_normal(30), rng.standard_normal(30)),
        LayerRelevance("silent", "Gemm", -np.ones(4), np.zeros(4)),
        LayerRelevance("alone", "Gemm", np.ones(1)),
    ]
    assert pixels(draw_layers(layers, "how")).shape[0] > pixels(draw_layers(layers[:1], "how")).shape[0]


@pytest.mark.parametrize(
    ("low", "high", "channels"), [(0, 1, 1), (0, 1, 3), (0, 255, 3), (-2.1, 2.6, 3), (0.2, 0.3, 1), (5, 5, 4)]
)
def test_displayed_images_are_rgb(low: float, high: float, channels: int) -> None:
    values = np.random.default_rng(0).uniform(low, high, (2, 4, 5, channels))
    found = displayed(values)
    assert found.shape == (2, 4, 5, 3)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_mean_and_deviation_are_undone(channels: str) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    steps = Preprocess(channels, "NHWC", scale=1 / 255, mean=mean, std=std)
    reddish = np.random.default_rng(0).uniform(0, [255, 100, 30], (8, 8, 3)).astype(np.uint8)
    made = steps.apply(PIL.Image.fromarray(reddish))
    np.testing.assert_allclose(displayed(made[None], steps)[0], reddish / 255, atol=1e-6)


def test_what_made_them_is_not_known_colours_stay_apart() -> None:
    raw = np.random.default_rng(0).uniform(0, 1, (3, 8, 8, 3))
    raw[0, 0, 0], raw[0, 0, 1] = 0, 1
    raw[..., 2] /= 4
    np.testing.assert_allclose(displayed((raw - 0.5) / 0.25), raw, atol=1e-12)
    np.testing.assert_allclose(displayed(raw), raw)
    np.testing.assert_allclose(displayed(np.round(raw * 255).astype(np.uint8)), np.round(raw * 255) / 255)


def test_padding_goes_only_where_no_map_has_relevance() -> None:
    tokens = np.array(["a", "pad", "pad", "pad"], object)
    one, two = np.array([1.0, 0, 0, 0]), np.array([1.0, 0, 2, 0])
    assert without_padding(sheet(tokens, one).samples[0]).value.tolist() == ["a"]
    found = without_padding(sheet(tokens, one, two).samples[0])
    assert found.value.tolist() == ["a", "pad", "pad"]
    assert [len(r) for r in found.maps.values()] == [3, 3]
    assert len(without_padding(sheet(tokens[1:], np.zeros(3)).samples[0]).value) == 1


def test_spans_have_the_colours_of_the_scale() -> None:
    relevance = np.array([0.0, 1.0, -1.0])
    (texts,) = spans(sheet(np.array(["a", "b", "c"], object), relevance, samples=1))
    found = [tuple(int(s.background[i : i + 2], 16) for i in (1, 3, 5)) for s in texts[ORIGINAL]]
    np.testing.assert_allclose(np.array(found) / 255, colours(relevance, 0.999), atol=0.01)
    assert [s.token for s in texts[ORIGINAL]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "text"), [(12.34, "12.3"), (0.984, "0.98"), (-3.5, "−3.50"), (12345, "1.2e+04"), (0, "0.00")]
)
def test_scores(value: float, text: str) -> None:
    assert score(value) == text


def test_texts_are_one_line() -> None:
    assert one_line(" a\r\nb\x00c\u2028d ") == "a b c d"
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"
