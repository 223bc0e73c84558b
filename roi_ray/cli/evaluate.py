"""`roi-ray evaluate`: judge preference models beside single metrics and people themselves."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, RECIPES, find_recipe

if TYPE_CHECKING:
    from roi_ray.preference.evaluation.evaluate import Evaluation


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str,
        typer.Option(help="Comparisons with labels and features: the output of `roi-ray compare`."),
    ],
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for evaluation.json and evaluation.png.")
    ],
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Recipe to evaluate; repeatable. {cli.RECIPE_HELP}", show_default="all recipes"
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Trained model to evaluate as it is: the packaged one or a file; repeatable.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=2, help="Folds. All comparisons of a reference are in one fold.")
    ] = 5,
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of cross-validations, each with different folds.")
    ] = 3,
) -> None:
    """Measure how well models predict human choices, on references they were not trained on.

    Exit codes: 0 if the evaluation is written; 2 if the arguments, the comparisons, a model or the
    output cannot be used.
    """
    recipes = recipe or [DEFAULT_RECIPE, *(name for name in RECIPES if name != DEFAULT_RECIPE)]
    for name in recipes:
        find_recipe(name)

    import torch

    from roi_ray.io import storage
    from roi_ray.io.json_values import replace_non_finite
    from roi_ray.preference.comparisons.table import read_comparisons
    from roi_ray.preference.evaluation.evaluate import evaluate
    from roi_ray.report.preference_picture import draw

    torch.set_num_threads(1)  # these networks are too small to gain from more threads
    checked = read_comparisons(comparisons)
    storage.check_writable(output)
    result = evaluate(
        checked,
        recipes,
        models=model or [],
        folds=folds,
        repeats=repeats,
        processes=os.cpu_count() or 1,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    facts = {
        "comparisons_sha256": checked.sha256,
        "folds": min(folds, result.references),
        "repeats": repeats,
    }
    values = replace_non_finite({**facts, **result.to_json()})
    data = json.dumps(values, indent=2, allow_nan=False)
    storage.write_bytes(storage.join(output, "evaluation.json"), data.encode())
    storage.write_bytes(storage.join(output, "evaluation.png"), draw(result))
    _print_report(result, len(checked.table))
    print(f"-> {output}")


def _print_report(result: "Evaluation", rows: int) -> None:
    """Print what a judge needs to know, the most important first, 100 columns wide."""
    from rich.console import Console

    from roi_ray.preference.comparisons.regions import describe_substitution
    from roi_ray.preference.statistics.intervals import MIN_REFERENCES, describe_missing_interval
    from roi_ray.report import preference as report

    console = Console(width=report.WIDTH, highlight=False, markup=False)

    def print_lines(*lines: str) -> None:
        for line in lines:
            print(*report.wrap(line), sep="\n")
        print()

    main = report.select_main(result)
    facts = [f"{rows} comparisons, {result.comparisons} used, about {result.references} references"]
    if result.without_region:
        facts.append(describe_substitution(result.without_region))
    if result.references < MIN_REFERENCES:
        facts.append(describe_missing_interval())
    print_lines(*facts)
    print_lines(*map(report.write_headline, main))
    console.print(report.to_table(result))
    print_lines(*report.explain_table(result))
    for table in report.to_bias_tables(result):
        console.print(table)
    print_lines(*report.explain_bias(result))
    print_lines(*report.write_ceilings(result))
    print_lines(*report.write_differences(result))
    metrics = [each.name for each in result.results if each.kind == "metric"]
    console.print(report.to_parts_table(result, [*(each.name for each in main[:3]), *metrics[:1]]))
