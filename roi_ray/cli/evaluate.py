"""`roi-ray evaluate`: compare preference models with simple rules and a human ceiling."""

import json
import sys
from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.preference.recipes import DEFAULT_RECIPE, RECIPES, find_recipe


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
    """Measure how many human choices each model predicts, on references it was not trained on.

    Exit codes: 0 if the evaluation is written; 2 if the arguments, the comparisons, a model or the
    output cannot be used.
    """
    recipes = recipe or list(RECIPES)
    for name in recipes:
        find_recipe(name)

    import torch
    from rich.console import Console

    from roi_ray import schema
    from roi_ray.io import storage
    from roi_ray.preference.comparisons import read_comparisons
    from roi_ray.preference.evaluation import evaluate
    from roi_ray.preference.intervals import MIN_REFERENCES, describe_missing_interval
    from roi_ray.preference.regions import describe_substitution
    from roi_ray.report import preference as report
    from roi_ray.report.json_values import replace_non_finite

    torch.set_num_threads(1)  # these networks are too small to gain from more threads
    checked = read_comparisons(comparisons)
    storage.check_writable(output)
    result = evaluate(
        checked,
        recipes,
        models=model or [],
        folds=folds,
        repeats=repeats,
        report=lambda line: print(line, file=sys.stderr),
    )
    facts = {
        "comparisons_sha256": checked.sha256,
        "folds": min(folds, result.references),
        "repeats": repeats,
    }
    values = replace_non_finite({**facts, **result.to_json()})
    data = json.dumps(values, indent=2, allow_nan=False)
    storage.write_bytes(storage.join(output, "evaluation.json"), data.encode())
    storage.write_bytes(storage.join(output, "evaluation.png"), report.draw(result))
    console = Console(width=140)
    console.print(
        f"{len(checked.table)} comparisons, {result.comparisons} used, "
        f"about {result.references} references"
    )
    if result.without_region:
        console.print(describe_substitution(result.without_region), highlight=False)
    console.print(report.to_table(result))
    main_recipe = DEFAULT_RECIPE if DEFAULT_RECIPE in recipes else recipes[0]
    shown = [f"BASIC {main_recipe}", f"ROI {main_recipe}", *schema.BASIC_FEATURES[:2]]
    console.print(report.to_parts_table(result, shown))
    for name, test in result.differences.items():
        console.print(report.format_difference(name, test), highlight=False)
    if result.references < MIN_REFERENCES:
        console.print(describe_missing_interval(), highlight=False)
    print(f"-> {output}")
