"""Beliefs about unknown numbers, scores or weights, and about leads that are linear in them.

The unknown numbers z have a normal distribution N(mean, covariance). The lead of a question is
x z, in logits: for a ranking, x is 1 for one name and -1 for the other; for a preference model, it
is the difference of the two images' features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray.votes.asking.information import expect_precision, match_moments

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Belief:
    """A normal distribution of n unknown numbers.

    Attributes:
        mean: (n,).
        covariance: (n, n).
    """

    mean: Floats
    covariance: Floats

    def leads(self, x: Floats) -> tuple[Floats, Floats]:
        """Compute mean and variance of leads, (N,) each, in logits.

        Args:
            x: what the leads are made of, (N, n).
        """
        variance = np.einsum("ij,ij->i", x @ self.covariance, x)
        return x @ self.mean, np.maximum(variance, 0.0)

    def after_vote(self, x: Floats, p_a: float) -> "Belief":
        """Return what is known after one more vote, in one step.

        This is assumed density filtering (Opper, "A Bayesian approach to on-line learning", 1998):
        exact for this vote, approximate because it does not look at earlier votes again.

        Args:
            x: what the lead is made of, (n,).
            p_a: the vote, see `match_moments`.
        """
        along = self.covariance @ x
        mean, variance = float(x @ self.mean), float(x @ along)
        if variance <= 0:
            return self
        new_mean, new_variance = match_moments(mean, variance, p_a)
        return Belief(
            self.mean + along * ((new_mean - mean) / variance),
            self.covariance - np.outer(along, along) * ((variance - new_variance) / variance**2),
        )

    def before_votes(self, x: Floats, votes: Floats) -> "Belief":
        """Return what is expected to be known once raters who were asked have voted.

        How sure one will be of a lead hardly depends on the votes, so that they need not be known:
        the mean stays, the precision grows by what is expected of the votes.

        Args:
            x: what the leads are made of, (L, n).
            votes: number of votes about each, (L,).
        """
        precision = votes * expect_precision(*self.leads(x))
        growth = x.T @ (x * precision[:, None])
        # (C⁻¹ + G)⁻¹ = (1 + C G)⁻¹ C, which a covariance C without an inverse has too.
        covariance = np.linalg.solve(
            np.eye(len(self.mean)) + self.covariance @ growth, self.covariance
        )
        return Belief(self.mean, (covariance + covariance.T) / 2)
