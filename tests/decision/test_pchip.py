"""Many PCHIP interpolants at once, against SciPy."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from roi_ray.decision.pchip import fit_pchip


@pytest.mark.parametrize("monotonic", [True, False])
def test_integrals_and_slopes_are_those_of_scipy(monotonic) -> None:
    random = np.random.default_rng(0)
    curves, points = 300, 9
    counts = random.integers(3, points + 1, curves)
    x = np.cumsum(random.uniform(0.01, 2, (curves, points)), axis=1)
    y = random.normal(size=(curves, points))
    if monotonic:
        y = np.sort(y, axis=1)
        y[::3, 2] = y[::3, 1]  # flat pieces
    for number, count in enumerate(counts):
        x[number, count:] = y[number, count:] = np.nan
    end = x[np.arange(curves), counts - 1]
    low, high = np.sort([random.uniform(x[:, 0], end), random.uniform(x[:, 0], end)], axis=0)
    low[::4], high[::3] = x[::4, 0], end[::3]  # BD-rates are taken up to the ends
    fitted = fit_pchip(x, y, counts)
    found = fitted.integrate(low, high)
    for number, count in enumerate(counts):
        expected = PchipInterpolator(x[number, :count], y[number, :count])
        assert found[number] == pytest.approx(
            expected.integrate(low[number], high[number]), abs=1e-10
        )
        np.testing.assert_allclose(
            fitted.slope[:count, number], expected.derivative()(x[number, :count]), atol=1e-10
        )


def test_solve_inverts_rising_curves() -> None:
    random = np.random.default_rng(1)
    x = np.cumsum(random.uniform(0.01, 2, (100, 6)), axis=1)
    y = np.sort(random.normal(size=(100, 6)), axis=1)
    fitted = fit_pchip(x, y, np.full(100, 6))
    values = random.uniform(y[:, 0], y[:, -1])
    found = fitted.solve(values)
    for number in range(100):
        curve = PchipInterpolator(x[number], y[number])
        assert curve(found[number]) == pytest.approx(values[number], abs=1e-10)
    np.testing.assert_array_equal(fitted.solve(y[:, 0] - 1), x[:, 0])
    np.testing.assert_array_equal(fitted.solve(y[:, -1]), x[:, -1])
