"""The page: every picture and the small print in one HTML file that needs nothing else."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnxunlearn.pictures.concentration import LayerRelevance
from onnxunlearn.pictures.folder import MARK
from onnxunlearn.pictures.sheet import Sheet
from onnxunlearn.pictures.tokens import Span
from onnxunlearn.templates import template


@dataclass(frozen=True, eq=False)
class SheetOnPage:
    """png: the picture. texts: for tokens, each sample's coloured text by map title; else empty."""

    sheet: Sheet
    png: bytes
    texts: Sequence[Mapping[str, Sequence[Span]]] = field(default=())


def make_page(
    title: str,
    sheets: Sequence[SheetOnPage],
    layers: Sequence[LayerRelevance],
    layers_png: bytes | None,
    small_print: Mapping[str, str],
) -> bytes:
    """The page as UTF-8. Names from files are escaped; pictures are data URIs."""
    text = template("onnxunlearn.pictures", "page.html").render(
        mark=MARK,
        title=title,
        sheets=sheets,
        layers=layers,
        layers_uri=None if layers_png is None else data_uri(layers_png),
        compared=any(layer.edited is not None for layer in layers),
        small_print=small_print,
        data_uri=data_uri,
    )
    return text.encode()


def data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
