"""The same where classes are said at places: inputs at whose places nothing is to change, of whatever.

At each place the original says what is there. Where it says what is to be forgotten, nothing is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from onnxunlearn.inquiry.inquiry import Inquiry
from onnxunlearn.inquiry.maps import maps_of
from onnxunlearn.inquiry.unnamed import Unnamed
from onnxunlearn.probes import Probes, Source
from onnxunlearn.probes.places import Scenes
from onnxunlearn.probes.places.scenes import NOTHING_SAID


@dataclass(frozen=True, eq=False)
class UnnamedPlaces:
    """choosing: places drawn, each of the class that the original gives it. judging: inputs, perhaps a
    stream. origin: where they are from, see `Probes`. left_out: how many were given
    besides. read: all inputs that choose, held or not, for what reads them once."""

    choosing: Probes
    judging: Probes
    origin: Mapping[str, Any] = field(repr=False)
    left_out: int
    read: tuple[Probes, ...] = field(repr=False)

    @classmethod
    def of(
        cls, inquiry: Inquiry, data: Source | None, named: Probes, *, choose: bool, judge: bool
    ) -> "UnnamedPlaces | None":
        """Those of the options, if there are some. data: where the named inputs are from, which are `named`.
        choose, judge: what they are for. Raises InputError if they do not fit the model, or all of them are
        copies."""
        options, placing = inquiry.options, inquiry.placing
        assert placing is not None
        given = Unnamed.whole(options, inquiry.model, data, named, choose=choose, judge=judge, unheld=choose)
        if given is None:
            return None
        places = given.choosing
        if len(places):
            scenes = Scenes(places, None, False)
            scenes = scenes.said(maps_of(inquiry.original, scenes))
            assert scenes.truth is not None
            known = np.where(np.isin(scenes.truth, inquiry.forget), NOTHING_SAID, scenes.truth)
            scenes = replace(scenes, truth=known)
            places = placing.places(scenes, inquiry.forget, options.seed, inquiry.engine, judge=False)
        return cls.of_whole(given, places)

    @classmethod
    def of_whole(cls, given: Unnamed, places: Probes) -> "UnnamedPlaces":
        """places: of the inputs that choose and are held."""
        return cls(places, given.judging, given.origin, given.left_out, given.read)

    def described(self) -> dict[str, Any]:
        """JSON-ready; in inputs."""
        counts = {
            "choosing": sum(map(len, self.read)),
            "judging": len(self.judging),
            "left_out": self.left_out,
        }
        return {**self.origin, **counts}
