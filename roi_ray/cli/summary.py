"""`roi-ray summary`: which codec of a sweep wins, by how much, and can that be believed?"""

import json
from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL


@exit_with_message
def main(
    scores: cli.DecidedScores,
    *,
    anchor: cli.Anchor = None,
    metric: cli.DecisionMetrics = None,
    codec: cli.DecisionCodecs = None,
    group_by: cli.GroupBy = None,
    model: cli.PreferenceModelName = DEFAULT_PREFERENCE_MODEL,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON with everything; null and a reason where nothing is valid."
        ),
    ] = False,
) -> None:
    """Print which codec of a sweep wins: BD-rates with intervals, preferences, times, and doubts.

    Exit codes: 0 if the summary is printed; 2 if the arguments or the scores cannot be used.
    """
    from rich.console import Console

    from roi_ray.decision.decide import decide
    from roi_ray.report.summary.table import print_decision
    from roi_ray.report.summary.values import decision_to_dict

    decision = decide(
        scores,
        anchor=anchor,
        metrics=metric or (),
        group_by=group_by or (),
        codecs=codec or (),
        model=model,
    )
    if as_json:
        print(json.dumps(decision_to_dict(decision), indent=2, allow_nan=False))
        return
    print_decision(decision, Console(highlight=False, markup=False, emoji=False))
