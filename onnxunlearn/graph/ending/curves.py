"""What is made of eᶻ by constants alone: (a·eᶻ + b) / (c·eᶻ + d). Exponentials, Sigmoid and Tanh are such."""

from dataclasses import dataclass
from math import isfinite, log


@dataclass(frozen=True)
class Curve:
    """y = (a·u + b) / (c·u + d) with u = eᶻ. All that constants, reciprocals and quotients do stays one.

    Sigmoid is (u + 0)/(u + 1), Tanh of z/2 (u − 1)/(u + 1), and 1/(1 + e⁻ᶻ) comes out as Sigmoid again.
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 1.0

    def plus(self, k: float) -> "Curve":
        return Curve(self.a + k * self.c, self.b + k * self.d, self.c, self.d)

    def times(self, k: float) -> "Curve":
        return Curve(k * self.a, k * self.b, self.c, self.d)

    def reciprocal(self) -> "Curve":
        return Curve(self.c, self.d, self.a, self.b)

    def of_negative(self) -> "Curve":
        """The same function of −z."""
        return Curve(self.b, self.a, self.d, self.c)

    def multiplied(self, other: "Curve") -> "Curve | None":
        """The product with another function of the same z; None where that is no such curve."""
        for one, two in ((self, other), (other, self)):
            # a numerator that is the other's denominator, but for a factor, cancels
            if (k := _ratio((one.a, one.b), (two.c, two.d))) is not None:
                return Curve(k * two.a, k * two.b, one.c, one.d)
        flat = self.c == self.a == 0 or other.c == other.a == 0
        return Curve(*_product(self, other)) if flat else None

    @property
    def falls(self) -> bool:
        """Whether it falls with z."""
        return self.a * self.d < self.b * self.c

    @property
    def is_exponential(self) -> bool:
        """Whether it is eᶻ times a constant; of one that rises, a positive one."""
        return self.b == 0 and self.c == 0

    @property
    def shift(self) -> float | None:
        """s for which it is Sigmoid(z + s) times a constant; None if it is not."""
        if self.b == 0 and self.c * self.d > 0 and self.a * self.c > 0:
            return log(self.c / self.d)
        return None

    @property
    def height(self) -> float:
        """What it goes to for large z, of one that is a Sigmoid."""
        return self.a / self.c

    @property
    def positive(self) -> bool:
        """Whether it is above 0 everywhere."""
        above = min(self.a, self.b) >= 0 and min(self.c, self.d) >= 0
        return above and max(self.a, self.b) > 0 and max(self.c, self.d) > 0

    @property
    def sound(self) -> bool:
        return all(map(isfinite, (self.a, self.b, self.c, self.d))) and self.a * self.d != self.b * self.c


EXP = Curve()
SIGMOID = Curve(1, 0, 1, 1)
#: of z where the argument is z/2
TANH = Curve(1, -1, 1, 1)
#: e of Softplus
ONE_PLUS_EXP = Curve(1, 1, 0, 1)


def _ratio(one: tuple[float, float], two: tuple[float, float]) -> float | None:
    """k with one = k · two."""
    if one[0] * two[1] != one[1] * two[0] or not any(two) or not any(one):
        return None
    return one[0] / two[0] if two[0] else one[1] / two[1]


def _product(f: Curve, g: Curve) -> tuple[float, float, float, float]:
    """Of a constant and a curve."""
    constant, curve = (f, g) if f.a == f.c == 0 else (g, f)
    return constant.b * curve.a, constant.b * curve.b, constant.d * curve.c, constant.d * curve.d
