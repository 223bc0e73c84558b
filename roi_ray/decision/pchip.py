"""Many piecewise cubic Hermite interpolants at once.

PCHIP keeps monotonic data monotonic: Fritsch and Butland, "A method for constructing local monotone
piecewise cubic interpolants", SIAM J. Sci. Stat. Comput. 5, 1984, with the three-point formula for
the slopes at both ends of Moler, "Numerical Computing with MATLAB", 2004, section 3.6. It is what
`scipy.interpolate.PchipInterpolator` computes for one curve. A loop over ten thousand images, each
with its own points, would take minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]

_MAX_STEPS = 60  # halvings alone come below the spacing of float64


@dataclass(frozen=True)
class Pchip:
    """Interpolants y(x) of N curves with up to K points each.

    Attributes:
        x: points, (K, N), rising; beyond the last point of a curve, that point again.
        y: values at the points, likewise.
        slope: first derivatives at the points, likewise.
        square: factor of (x - start)^2 of each segment, (K - 1, N).
        cube: factor of (x - start)^3, likewise.
        area: integral from the first point to each point, (K, N).
    """

    x: Floats
    y: Floats
    slope: Floats
    square: Floats
    cube: Floats
    area: Floats

    def evaluate(self, x: float | Floats) -> Floats:
        """Compute the value of each curve, (N,), at x, one for all or (N,), within its points."""
        at = self._find_segments(self.x, np.broadcast_to(x, self.x.shape[1]))
        s = x - at(self.x)
        bend = at(self.square) + s * at(self.cube)
        value: Floats = at(self.y) + s * (at(self.slope) + s * bend)
        return value

    def integrate(self, low: Floats, high: Floats) -> Floats:
        """Integrate each curve from `low` to `high`, (N,), both within its points."""
        return self._integrate_to(high) - self._integrate_to(low)

    def solve(self, values: Floats) -> Floats:
        """Find x at which each curve has a value, (N,).

        The curves must not fall. Values outside a curve's range give the nearer end of the curve.
        """
        at = self._find_segments(self.y, values)
        start, y, slope = at(self.x), at(self.y), at(self.slope)
        square, cube = at(self.square), at(self.cube)
        low = np.zeros_like(values)
        high = at(self.x[1:]) - start
        tolerance = 4 * np.finfo(float).eps * np.abs(start + high)
        s = high / 2
        # Newton's method, and halving where it leaves the interval that has the solution.
        for _ in range(_MAX_STEPS):
            error = y + s * (slope + s * (square + s * cube)) - values
            low, high = np.where(error < 0, s, low), np.where(error < 0, high, s)
            rise = slope + s * (2 * square + s * 3 * cube)
            step = s - np.divide(error, rise, out=np.full_like(error, np.inf), where=rise > 0)
            step = np.where((step > low) & (step < high), step, (low + high) / 2)
            done = (np.abs(step - s) <= tolerance) | (error == 0)
            s = np.where(error == 0, s, step)
            if done.all():
                break
        found: Floats = np.where(values <= self.y[0], self.x[0], start + s)
        return np.where(values >= self.y[-1], self.x[-1], found)

    def _integrate_to(self, x: Floats) -> Floats:
        """Integrate each curve from its first point to x, (N,)."""
        at = self._find_segments(self.x, x)
        s = x - at(self.x)
        cubic = at(self.square) / 3 + s * at(self.cube) / 4
        return at(self.area) + s * (at(self.y) + s * (at(self.slope) / 2 + s * cubic))

    def _find_segments(self, points: Floats, values: Floats) -> Callable[[Floats], Floats]:
        """Find the segment of each curve that has a value of rising `points`, x or y.

        Returns:
            function that selects from an array, (K, N) or (K - 1, N), what belongs to the start of
            the segments, (N,).
        """
        count = points.shape[1]
        segment = np.zeros(count, np.intp)
        for k in range(1, len(points) - 1):
            segment += points[k] <= values
        index = segment * count + np.arange(count)
        return lambda array: np.take(array.reshape(-1), index)


def fit_pchip(x: Floats, y: Floats, counts: Integers) -> Pchip:
    """Interpolate N curves.

    Args:
        x: points of each curve, (N, K), strictly rising; those beyond its count are ignored.
        y: values at the points, (N, K).
        counts: number of points of each curve, (N,); curves with fewer than three are not
            interpolated: their slopes are 0.
    """
    last = np.maximum(counts - 1, 0)
    used = np.minimum(np.arange(x.shape[1])[:, None], last)
    curves = np.arange(len(x))
    x, y = np.ascontiguousarray(x.T)[used, curves], np.ascontiguousarray(y.T)[used, curves]
    length = _positive(np.diff(x, axis=0))
    secant = np.diff(y, axis=0) / length
    slope = np.zeros_like(x)
    if len(x) > 2:
        slope[1:-1] = _inner_slopes(length[:-1], length[1:], secant[:-1], secant[1:])
        first = _end_slope(length[0], length[1], secant[0], secant[1])
        end, before = np.maximum(last - 1, 1), np.maximum(last - 2, 0)
        final = _end_slope(
            length[end, curves], length[before, curves], secant[end, curves], secant[before, curves]
        )
        enough = counts > 2
        slope[0] = np.where(enough, first, 0)
        slope[last, curves] = np.where(enough, final, 0)
    square = (3 * secant - 2 * slope[:-1] - slope[1:]) / length
    cube = (slope[:-1] + slope[1:] - 2 * secant) / length**2
    # Here the length beyond the last point must be 0: an integral to that point counts these parts.
    length = np.diff(x, axis=0)
    bend = square / 3 + length * cube / 4
    parts = length * (y[:-1] + length * (slope[:-1] / 2 + length * bend))
    area = np.vstack([np.zeros_like(x[:1]), np.cumsum(parts, axis=0)])
    return Pchip(x, y, slope, square, cube, area)


def _inner_slopes(left: Floats, right: Floats, before: Floats, after: Floats) -> Floats:
    """Compute weighted harmonic means of the secants; 0 where they have different signs.

    Args:
        left: length of the segment before the point.
        right: length of the segment after the point.
        before: slope of the secant before the point.
        after: slope of the secant after the point.
    """
    weights = 2 * right + left, right + 2 * left
    same = np.sign(before) * np.sign(after) > 0
    before, after = np.where(same, before, 1), np.where(same, after, 1)
    means = (weights[0] + weights[1]) / (weights[0] / before + weights[1] / after)
    return np.where(same, means, 0)


def _end_slope(near: Floats, far: Floats, secant: Floats, next_secant: Floats) -> Floats:
    """Compute the slope at an end by a parabola through three points that keeps the shape."""
    slope = ((2 * near + far) * secant - near * next_secant) / (near + far)
    steep = (np.sign(secant) != np.sign(next_secant)) & (np.abs(slope) > 3 * np.abs(secant))
    slope = np.where(steep, 3 * secant, slope)
    return np.where(np.sign(slope) == np.sign(secant), slope, 0)


def _positive(length: Floats) -> Floats:
    """Replace lengths of 0, of segments beyond the last point, by 1."""
    return np.where(length == 0, 1.0, length)
