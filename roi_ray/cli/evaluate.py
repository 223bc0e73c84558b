"""Cross-validate preference models by reference, beside simple rules and the human ceiling.

python jobs/evaluate.py --comparisons compared/comparisons.parquet --output evaluation/
"""

import json
import sys
from typing import Annotated

import torch
import typer
from rich.console import Console

from roi_ray import schema
from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.preference.comparisons import read_comparisons
from roi_ray.preference.evaluation import evaluate
from roi_ray.preference.recipes import DEFAULT_RECIPE, RECIPES
from roi_ray.report import preference as report


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str, typer.Option(help="With labels and features, as jobs/compare.py writes them.")
    ],
    output: Annotated[str, typer.Option(help="Folder or s3:// prefix for JSON and picture.")],
    recipe: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(RECIPES)}; may be given again; all, if not given."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A trained model, evaluated as it is; may be given again."),
    ] = None,
    nested: Annotated[
        bool, typer.Option("--nested", help="Also choose the recipe anew in each fold; slow.")
    ] = False,
    folds: Annotated[int, typer.Option(min=2, help="Folds, by reference.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Other divisions into folds.")] = 3,
) -> None:
    """Say how many of people's choices each model predicts, on references it has not seen."""
    recipes = recipe or list(RECIPES)
    torch.set_num_threads(1)  # the networks are too small to be divided
    if unknown := [name for name in recipes if name not in RECIPES]:
        raise ManifestError(f"unknown recipe {unknown[0]!r}; there are {', '.join(RECIPES)}")
    given = read_comparisons(comparisons)
    storage.check_writable(output)
    result = evaluate(
        given,
        recipes,
        models=model or [],
        nested=nested,
        folds=folds,
        repeats=repeats,
        report=lambda line: print(line, file=sys.stderr),
    )
    facts = {
        "comparisons_sha256": given.sha256,
        "folds": min(folds, result.references),
        "repeats": repeats,
    }
    data = json.dumps({**facts, **result.to_json()}, indent=2)
    storage.write_bytes(storage.join(output, "evaluation.json"), data.encode())
    storage.write_bytes(storage.join(output, "evaluation.png"), report.draw(result))
    console = Console(width=140)
    console.print(
        f"{len(given.table)} comparisons, {result.comparisons} used, "
        f"about {result.references} references"
    )
    console.print(report.to_table(result))
    main_recipe = DEFAULT_RECIPE if DEFAULT_RECIPE in recipes else recipes[0]
    shown = [f"BASIC {main_recipe}", f"ROI {main_recipe}", *schema.FEATURES[:2]]
    console.print(report.to_parts_table(result, shown))
    for name, test in result.paired.items():
        d = test.difference
        console.print(
            f"{name}: {100 * d.value:+.2f} points ({100 * d.low:+.2f} .. {100 * d.high:+.2f}), "
            f"p {_p(test.p)}",
            highlight=False,
        )
    print(f"-> {output}")


def _p(p: float) -> str:
    # Of 2,000 resamples, more digits would say nothing.
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
