"""Options of `roi-ray vote` alone."""

from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.server_options import ADDRESS_PANEL
from roi_ray.votes import options

_QUESTIONS = "Questions"
_ACCESS = "Who gets in"

Comparisons = Annotated[
    str | None,
    typer.Option(
        help="What to ask: comparisons with the columns reference, a and b, perhaps of `roi-ray "
        "compare`. Rows with gold, and p_a 0 or 1, check the raters.",
        show_default=False,
        rich_help_panel=_QUESTIONS,
    ),
]

Scores = Annotated[
    str | None,
    typer.Option(
        help="Or the output of `roi-ray score`: any two images of one reference are a question, "
        "and those that differ clearly check the raters.",
        show_default=False,
        rich_help_panel=_QUESTIONS,
    ),
]

Output = Annotated[
    str,
    typer.Option(
        help="Folder or s3:// prefix for comparisons.parquet, with every answer, and "
        "raters.parquet. The same command continues the study."
    ),
]

Database = Annotated[
    str | None,
    typer.Option(
        help="Folder on this machine for the database of the answers; needed if --output is not on "
        "this machine.",
        show_default="--output",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

AllowPrefix = Annotated[
    list[str] | None,
    typer.Option(
        help="Folder, or URI of one, whose images may be shown, besides the folder of the "
        "comparisons or of the scores' manifest. Repeatable.",
        show_default=False,
        rich_help_panel=_QUESTIONS,
    ),
]

Gold = Annotated[
    float,
    typer.Option(
        min=0,
        max=0.5,
        help="Share of questions whose answer is known.",
        rich_help_panel=_QUESTIONS,
    ),
]

Repeats = Annotated[
    float,
    typer.Option(
        min=0,
        max=0.5,
        help="Share of questions that the rater has answered before.",
        rich_help_panel=_QUESTIONS,
    ),
]

Training = Annotated[
    int,
    typer.Option(
        min=0,
        help="Questions to practise at the beginning: the page says afterwards which answer was "
        "right, and the answers do not count.",
        rich_help_panel=_QUESTIONS,
    ),
]

QuestionsPerRater = Annotated[
    int,
    typer.Option(
        min=1, help="Questions for each rater, after the training.", rich_help_panel=_QUESTIONS
    ),
]

Active = Annotated[
    options.Goal | None,
    typer.Option(
        help="Ask what teaches most: about the ranking of the methods, or about the weights of a "
        "preference model, which needs features.",
        show_default="questions in random order",
        rich_help_panel=_QUESTIONS,
    ),
]

Model = Annotated[
    str,
    typer.Option(
        help="Preference model that --active model begins with.", rich_help_panel=_QUESTIONS
    ),
]

RankBy = Annotated[
    options.By,
    typer.Option(
        "--by",
        help="What is ranked. method: an encoder at one setting; codec: an encoder.",
        rich_help_panel=_QUESTIONS,
    ),
]

StopAt = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Advise to stop where the ranking so far and the final one agree so far: expected "
        "Kendall's tau.",
        rich_help_panel=_QUESTIONS,
    ),
]

MaxQuestions = Annotated[
    int,
    typer.Option(
        min=1,
        help="Questions made of --scores, besides those that check the raters; of more pairs, a "
        "random part.",
        rich_help_panel=_QUESTIONS,
    ),
]

Crop = Annotated[
    int | None,
    typer.Option(
        min=64,
        help="Show only a square of this side, in pixels, of larger images; its place is random, "
        "and the same for all raters.",
        show_default="whole images, which raters move",
        rich_help_panel=_QUESTIONS,
    ),
]

Seed = Annotated[
    int, typer.Option(min=0, help="Seed of what is random.", rich_help_panel=_QUESTIONS)
]

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen at. The default is reached from this machine only; 0.0.0.0 is "
        "every address of it: then use TLS from a proxy in front, and --public-url.",
        rich_help_panel=ADDRESS_PANEL,
    ),
]

PublicUrl = Annotated[
    str | None,
    typer.Option(
        help="What raters type to reach the study, such as https://vote.example.org.",
        show_default="the address itself",
        rich_help_panel=ADDRESS_PANEL,
    ),
]

Invitations = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Links to make now, each with a token of its own. /admin makes more.",
        show_default="1 for a new study",
        rich_help_panel=_ACCESS,
    ),
]

RatersPerInvitation = Annotated[
    int,
    typer.Option(min=1, help="Raters that each of these links lets in.", rich_help_panel=_ACCESS),
]

Consent = Annotated[
    str | None,
    typer.Option(
        help="Text file (UTF-8) that raters agree to before they begin; an empty line begins a "
        "paragraph.",
        show_default="a text that says what is stored",
        rich_help_panel=_ACCESS,
    ),
]

AdminKeys = Annotated[
    str | None,
    typer.Option(
        help="File of the keys that open /admin, as SHA-256, one per line: see `roi-ray serve "
        "--help`.",
        show_default="a new key, printed at the start",
        rich_help_panel=_ACCESS,
    ),
]

ExportSeconds = Annotated[
    float,
    typer.Option(
        min=1,
        help="Seconds between two exports of the answers; there is one at the end as well.",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

Simulate = Annotated[
    bool,
    typer.Option(
        "--simulate",
        help="Ask nobody: draw answers from those of --comparisons, and write to --output how fast "
        "they teach the ranking, or with --active model a preference model, in random order and "
        "actively. Only --by is used besides.",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

MaxPixels = Annotated[
    int,
    typer.Option(
        min=1,
        help="Width times height of the largest image that is shown.",
        rich_help_panel=_QUESTIONS,
    ),
]
