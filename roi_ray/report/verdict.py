"""The decision in a few sentences, for every view: terminal, JSON and page."""

from roi_ray.decision.decide import Decision


def write_verdict(decision: Decision) -> list[str]:
    """Return the decision as plain text, a sentence or two each, the most important one first.

    Commands are between backticks.
    """
    return list(decision.verdict)
