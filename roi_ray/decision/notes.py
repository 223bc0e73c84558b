"""What is missing in the scores of a sweep, in sentences."""

from roi_ray.decision.score_table import SweepScores


def describe_scores(scores: SweepScores) -> tuple[str, ...]:
    """Say what the scores lack that a decision should know of."""
    notes = []
    if scores.run is not None:
        expected = int(scores.run["config"]["manifest"]["rows"])
        if scores.row_count < expected:
            notes.append(
                f"The scores are not complete: {scores.row_count:,} of {expected:,} rows are "
                "there. Run the same `roi-ray score` again to add the others."
            )
    if scores.failed_count:
        notes.append(
            f"{scores.failed_count:,} of {scores.row_count:,} rows failed, in encoding or in "
            "scoring; their column 'error' says why."
        )
    if scores.unnamed_count:
        notes.append(
            f"{scores.unnamed_count:,} rows have no 'reference' or no 'codec' and are left out."
        )
    incomplete = [
        f"{codec} ({(points.rows >= 0).any(1).sum():,})"
        for codec, points in scores.codecs.items()
        if not (points.rows >= 0).any(1).all()
    ]
    if incomplete:
        notes.append(
            f"Not every codec has all {len(scores.images):,} images: {', '.join(incomplete)}."
        )
    unnamed = [codec for codec, points in scores.codecs.items() if points.names is None]
    if unnamed:
        notes.append(
            f"The rows of {', '.join(unnamed)} do not say what was asked for (`target` or "
            "`quality`), so there are no mean curves."
        )
    return tuple(notes)
