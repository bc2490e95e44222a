"""Numbers and names as a reader meets them."""

import re
from collections.abc import Sequence

from markupsafe import Markup

from onnxunlearn.judge import Findings, Measured, written

#: what the columns of tables are called
TITLES = {
    "edited": "edited",
    "mask": "mask only",
    "cka": "alike (CKA)",
    "forget": "to forget",
    "retain": "others",
}
#: columns that have a look of their own
_LOOKS = ("original", "edited", "mask", "reference")
NOT_MEASURED = "not measured"
#: of a figure beyond its limit that leaves the exit code as it is
UNCOUNTED = ", but of too few samples to count"
#: control characters and lone surrogates, which no page may hold; and what turns the order of letters
#: around, by which a name could rearrange what stands behind it
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: letters of a class's name in running text; tables have it whole
_LONGEST = 60
#: classes that a sentence names
_NAMED = 5


def look_of(column: str) -> str:
    """The name of the style in which a model's figures are drawn."""
    return column if column in _LOOKS else "other"


def number(value: float, unit: str) -> str:
    """12.30 %, −0.05, 0.330."""
    text = written(value, unit).replace(" %", "\u202f%")
    return f"−{text[1:]}" if text.startswith("-") else text


def between(measured: Measured, unit: str) -> str:
    """`98.51 to 100.00`, without the unit; empty where the bounds are not known."""
    if measured.value is None or measured.low is None or measured.high is None:
        return ""
    ends = (number(end, unit).removesuffix("\u202f%") for end in (measured.low, measured.high))
    return " to ".join(ends)


def about(value: float) -> str:
    """A percentage in a sentence: 79.2 %, 0 %; only what is exactly 0 or 100 is said to be."""
    text = next((t for digits in (1, 2) if float(t := f"{value:.{digits}f}") not in (0.0, 100.0)), "")
    if not text and value not in (0.0, 100.0):
        return "over 99.99\u202f%" if value > 50 else "under 0.01\u202f%"
    return f"{(text or f'{value:.1f}').removesuffix('.0')}\u202f%".replace("-", "−")


def bounds(measured: Measured) -> str:
    """`(73.9 % to 83.8 %)` of a percentage; empty where they are not known."""
    if measured.low is None or measured.high is None:
        return ""
    return f" ({about(measured.low)} to {about(measured.high)})"


def count(value: int) -> str:
    return f"{value:,}"


def many(value: int, one: str, more: str = "") -> str:
    """1 target, 2 targets."""
    return f"{count(value)} {one if value == 1 else more or one + 's'}"


def text_alone(text: str) -> str:
    """What can be read of `text`: all else is `�`."""
    return _NO_TEXT.sub("\ufffd", text)


def plain(sentence: Markup) -> str:
    """A sentence without its markup."""
    return text_alone(sentence.striptags())


def shortened(text: str) -> str:
    """On one line, and no longer than running text bears."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def isolated(text: str) -> Markup:
    """Escaped, and apart from the text around it, which may run the other way."""
    return Markup("<bdi>{}</bdi>").format(text)


def class_name(findings: Findings, which: int) -> str:
    """`class 3`, `sandal`: whole."""
    name = findings.names.short(which) if findings.names else ""
    return name if name.strip() else f"class {which}"


def forgotten(findings: Findings) -> Markup:
    """The classes to forget, or what samples share, in a sentence."""
    if findings.of_identity and findings.shared is not None:
        having = findings.shared["with"]
        sources = [shortened(str(part["source"])) for part in having.get("each", [having])]
        which = "the identity in {}" if len(sources) == 1 else "the identities in {}, on average"
        return Markup(which).format(listed(sources, "sources"))
    if findings.shared is not None:
        what = "what the samples in {} share" if findings.shared["points_to"] is None else "the trigger in {}"
        return Markup(what).format(isolated(shortened(str(findings.shared["with"]["source"]))))
    return listed([shortened(class_name(findings, c)) for c in findings.forget], "classes")


def listed(names: Sequence[str], what: str) -> Markup:
    """`a, b and c`; of many how many they are."""
    if len(names) > _NAMED:
        return Markup("{} {}").format(count(len(names)), what)
    shown = [isolated(name) for name in names]
    if len(shown) < 2:
        return Markup("").join(shown)
    return Markup(", ").join(shown[:-1]) + Markup(" and ") + shown[-1]
