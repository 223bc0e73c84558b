"""Scoring as a kind of job. Imports no torch."""

from collections.abc import Iterable

from roi_ray import schema
from roi_ray.errors import AccessError, DeviceError, WeightsError
from roi_ray.pipeline.kind import JobKind, make_results_schema
from roi_ray.scoring.version import SCORING_VERSION

RESULTS = make_results_schema(schema.make_scores_schema(schema.OPTIONAL_METRICS))
"""Columns of a result. Optional metrics that are not measured are null here, and not written."""

FATAL_ERRORS = (AccessError, DeviceError, WeightsError)


def make_score_kind(metrics: Iterable[str] = ()) -> JobKind:
    """Describe scoring.

    Args:
        metrics: names of the optional metrics that are measured.
    """
    return JobKind(
        command="score",
        content="scores",
        version_name="scoring_version",
        version=SCORING_VERSION,
        columns=schema.make_scores_schema(metrics),
        meanings=schema.MEANINGS,
        results=RESULTS,
        fatal_errors=FATAL_ERRORS,
        lost="the process that scored this pair was killed each time",
    )
