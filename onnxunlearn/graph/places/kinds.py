"""Which columns are classes, which are boxes, which say that there is anything: by how they are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from onnxunlearn.graph.places.bands import SIDES, Band, Said
from onnxunlearn.graph.view import Model


@dataclass(frozen=True, eq=False)
class Kinds:
    """Of each scale the tensor and its columns. ways: anchors whose columns lie side by side in a tensor."""

    classes: tuple[tuple[Said, Band], ...]
    boxes: tuple[tuple[Said, tuple[int, ...]], ...] = ()
    objectness: tuple[tuple[Said, Band], ...] = ()
    ways: int = 1


@dataclass(eq=False)
class _Group:
    """Tensors that say the same things at places of different scales."""

    each: list[Said] = field(default_factory=list)

    @property
    def bands(self) -> tuple[Band, ...]:
        return self.each[0].bands

    @property
    def width(self) -> int:
        return self.each[0].width

    @property
    def single(self) -> Band | None:
        """Its columns, if they are all scores of one kind."""
        return self.bands[0] if len(self.bands) == 1 and self.bands[0].are_scores else None


def kinds_of(model: Model, said: Sequence[Said], labels: Sequence[int] = ()) -> Iterator[Kinds]:
    """All ways to read what is said at places as a detector, the likeliest first. labels: how many classes
    have a name, by what the file declares."""
    groups = _grouped(model, said)
    for group in groups:
        found = _side_by_side(group) or _unlabelled_columns(group, labels)
        if found is not None:
            yield found
    yield from _in_tensors_of_their_own(model, groups, labels)


def _grouped(model: Model, said: Sequence[Said]) -> list[_Group]:
    """By how the columns are made. What is said of the same places again, as by earlier layers of a decoder,
    is left out."""
    groups: dict[object, _Group] = {}
    for each in said:
        places = each.places(model)
        look = [(b.start, b.stop, b.normaliser, b.are_scores) for b in each.bands]
        group = groups.setdefault((len(places), each.axis, *look), _Group())
        if None in places or all(places != other.places(model) for other in group.each):
            group.each.append(each)
    return list(groups.values())


def _side_by_side(group: _Group) -> Kinds | None:
    """Boxes and classes in one tensor."""
    scores = [i for i, band in enumerate(group.bands) if band.are_scores]
    others = [i for i in range(len(group.bands)) if i not in scores]
    if not scores or len(group.bands) < 2:
        return None
    best = max(scores, key=lambda i: _likely_classes(group.bands, i))
    rest = [i for i in scores if i != best]
    single = [i for i in rest if group.bands[i].width == 1 and group.bands[i].normaliser != "Softmax"]
    boxes = others or [i for i in rest if group.bands[i].width % SIDES == 0 and not group.bands[i].normaliser]
    columns = tuple(c for i in boxes for c in range(group.bands[i].start, group.bands[i].stop))
    if not columns or len(columns) % SIDES:
        return None
    first = _starts_with_objectness(group.bands[best], [group.bands[i] for i in boxes])
    classes, objectness = [], []
    for said in group.each:
        band = said.bands[best]
        classes.append((said, band.part(band.start + first, band.stop)))
        if first:
            objectness.append((said, band.part(band.start, band.start + 1)))
        elif single:
            objectness.append((said, said.bands[single[0]]))
    boxed = tuple((said, columns) for said in group.each)
    return Kinds(tuple(classes), boxed, tuple(objectness))


def _likely_classes(bands: Sequence[Band], i: int) -> tuple[bool, bool, int, int]:
    band = bands[i]
    return band.normaliser == "Softmax", band.normaliser is not None, band.width, i


def _starts_with_objectness(band: Band, boxes: Sequence[Band]) -> bool:
    """Whether one layer makes four numbers of a box, then that there is an object, then the classes."""
    return band.width > 1 and all(
        trail.layer is not None
        and trail.index[0, 0] == SIDES
        and any(
            t.layer is not None and t.layer.key == trail.layer.key and t.index[0, 0] == 0
            for box in boxes
            for t in box.trails
        )
        for trail in band.trails
    )


def _unlabelled_columns(group: _Group, labels: Sequence[int]) -> Kinds | None:
    """Boxes, objectness and classes as a layer makes them: known by the number of classes alone."""
    band = group.single
    if band is None or band.normaliser == "Softmax":
        return None
    for count in labels:
        size = SIDES + 1 + count
        if count > 1 and group.width % size == 0 and (group.width == size or _are_maps(group)):
            ways = group.width // size
            classes = tuple((s, s.bands[0].part(SIDES + 1, size)) for s in group.each)
            objectness = tuple((s, s.bands[0].part(SIDES, SIDES + 1)) for s in group.each)
            boxes = tuple((s, tuple(range(SIDES))) for s in group.each)
            return Kinds(classes, boxes, objectness, ways)
    return None


def _are_maps(group: _Group) -> bool:
    """Whether they are what convolutions make, channels first."""
    return all(said.axis == 1 and len(said.bands[0].trails) == 1 for said in group.each)


def _in_tensors_of_their_own(
    model: Model, groups: Sequence[_Group], labels: Sequence[int]
) -> Iterator[Kinds]:
    for classes in groups:
        if (band := classes.single) is None:
            continue
        mates = [g for g in groups if g is not classes and _same_places(model, classes, g)]
        boxes = [g for g in mates if g.width % SIDES == 0 and _is_box(g, band)]
        if not boxes:
            continue
        chosen = min(boxes, key=lambda g: (g.single is not None, g.width))
        ways = _ways(classes, chosen, labels)
        if ways is None or classes.width % ways:
            continue
        single = next((g for g in mates if g.width == ways and g.single is not None), None)
        if classes.width == 1 and any(g.single and g.width > 1 for g in mates if g is not chosen):
            continue
        if band.normaliser is None and any(
            g.width == ways and g.single and g.single.normaliser for g in mates
        ):
            continue  # one number a place is a chance, these are not: landmarks, as of faces
        size = classes.width // ways
        yield Kinds(
            tuple((said, said.bands[0].part(0, size)) for said in classes.each),
            tuple((said, tuple(range(chosen.width // ways))) for said in chosen.each),
            () if single is None else tuple((said, said.bands[0].part(0, 1)) for said in single.each),
            ways,
        )


def _same_places(model: Model, one: _Group, other: _Group) -> bool:
    """As far as sizes are known."""
    if len(one.each) != len(other.each):
        return False
    sizes = [(a.places(model), b.places(model)) for a, b in zip(one.each, other.each, strict=True)]
    return all(
        len(a) == len(b) and all(x == y or None in (x, y) for x, y in zip(a, b, strict=True))
        for a, b in sizes
    )


def _is_box(group: _Group, classes: Band) -> bool:
    """Whether a tensor may hold boxes, beside one that may hold classes: it was placed; or what it says of
    places is no score, but where queries say classes as they are and boxes from 0 to 1."""
    band = group.single
    if band is None:
        return not any(b.are_scores for b in group.bands)
    if band.normaliser == "Softmax" or (classes.normaliser is None and _convolved(classes)):
        return band.normaliser is None and group.width != classes.width
    if classes.normaliser is None or classes.normaliser == "Softmax":
        return group.width == SIDES
    return band.normaliser is None


def _convolved(band: Band) -> bool:
    return all(trail.layer is not None and not trail.layer.dense for trail in band.trails)


def _ways(classes: _Group, boxes: _Group, labels: Sequence[int]) -> int | None:
    """How many anchors have their columns side by side; None where that cannot be told."""
    if boxes.width == SIDES or not _are_maps(classes):
        return 1
    for count in labels:
        for size in (count, count + 1):
            ways = classes.width // size
            if ways and classes.width == ways * size and boxes.width % (SIDES * ways) == 0:
                return ways
    return None
