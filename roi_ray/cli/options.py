"""Options that several commands share, each defined once. Imports nothing heavy.

This module gives an option's name, accepted values and help; each command gives the default.
"""

from typing import Annotated

import typer

from roi_ray import settings
from roi_ray.pipeline import options
from roi_ray.preference.model.recipes import RECIPES
from roi_ray.runtime import cluster, logs
from roi_ray.schema import OPTIONAL_METRICS

_METRICS = "Metrics (they decide the numbers)"
RUN_PANEL = "Execution"
_DECISION = "Decision"
_TRAINING = "Training"

# Options that decide the numbers: the fields of `Settings`, and the folder of their files.
LpipsOption = Annotated[
    settings.LpipsName,
    typer.Option(
        "--lpips",
        help="LPIPS network. alex is what most papers report; st-alex and st-vgg tolerate small "
        "shifts.",
        rich_help_panel=_METRICS,
    ),
]
SaliencyOption = Annotated[
    str,
    typer.Option(
        "--saliency",
        help="Saliency network that finds the region of interest: the packaged one, or the path "
        "or s3:// URI of a U2-Net or U2-Net-p checkpoint.",
        rich_help_panel=_METRICS,
    ),
]
DiscriminatorOption = Annotated[
    str,
    typer.Option(
        "--discriminator",
        help="Discriminator: the packaged one, or the path or s3:// URI of a PatchGAN checkpoint.",
        rich_help_panel=_METRICS,
    ),
]
RoiWeighting = Annotated[
    settings.Weighting,
    typer.Option(
        help="How a metric's map L is averaged under the mask R. mean: mean(L R), the paper's; "
        "normalised: sum(L R) / sum(R), comparable between images.",
        rich_help_panel=_METRICS,
    ),
]
Precision = Annotated[
    settings.Precision,
    typer.Option(
        help="Precision of the networks. Metrics are computed from their outputs in fp32 or "
        "better. auto: the fastest one within 2e-3 of fp32's numbers, fp16 on a GPU and fp32 on a "
        "CPU; a resumed run keeps its precision.",
        rich_help_panel=_METRICS,
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics",
        help="Further metrics to measure: " + ", ".join(OPTIONAL_METRICS) + ". Repeatable.",
        show_default=False,
        rich_help_panel=_METRICS,
    ),
]
WeightsDir = Annotated[
    str | None,
    typer.Option(
        help="Folder with torchvision's weight files, which --lpips vgg and squeeze need.",
        show_default=False,
        rich_help_panel=_METRICS,
    ),
]

# Options of how a scoring job runs: the fields of `pipeline.options.Options`.
Engine = Annotated[
    options.EngineName,
    typer.Option(
        help="local: in this process, which starts at once. ray: on Ray, with several processes, "
        "GPUs or nodes. auto: local for a few hundred pairs on one device, unless RAY_ADDRESS "
        "names a cluster.",
        rich_help_panel=RUN_PANEL,
    ),
]
AllowSlowPrecision = Annotated[
    bool,
    typer.Option(
        "--allow-slow-precision",
        help="Use a --precision that takes more than twice as long as fp32 on the device, such as "
        "bf16 on most CPUs, instead of refusing it.",
        rich_help_panel=RUN_PANEL,
    ),
]
Device = Annotated[
    cluster.Device,
    typer.Option(
        help="Where the networks run. auto: on GPUs if the machine or the cluster has any.",
        rich_help_panel=RUN_PANEL,
    ),
]
LocalDevice = Annotated[
    str,
    typer.Option(
        help="Where the networks run: cpu, cuda, cuda:1, ...; auto: on a GPU if this machine has "
        "one.",
        rich_help_panel=RUN_PANEL,
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of scoring actors on Ray.",
        show_default="as many as the GPUs hold, else one per CPU",
        rich_help_panel=RUN_PANEL,
    ),
]
GpusPerActor = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=1,
        help="Share of a GPU per scoring actor: 0.5 puts two actors on each GPU.",
        rich_help_panel=RUN_PANEL,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images that go through the networks at once, counted in images of 512 x 512 pixels.",
        show_default="1 on a CPU, 32 on a GPU",
        rich_help_panel=RUN_PANEL,
    ),
]
ShardSize = Annotated[
    int,
    typer.Option(
        min=1,
        help="Rows per output file: the unit of commit and of resume.",
        rich_help_panel=RUN_PANEL,
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option(
        min=1,
        help="Largest image that is decoded: width times height. Larger images become errors.",
        rich_help_panel=RUN_PANEL,
    ),
]
AllowPrefix = Annotated[
    list[str] | None,
    typer.Option(
        help="Folder, or URI of one, that images may be read from, besides the folder of the "
        "manifest. Repeatable.",
        show_default=False,
        rich_help_panel=RUN_PANEL,
    ),
]
FailAbove = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Exit with code 3 if a larger share of the rows of the output has an error.",
        rich_help_panel=RUN_PANEL,
    ),
]
LogLevel = Annotated[
    logs.LogLevel | None,
    typer.Option(
        help="Lines logged to standard error. info: one line per finished shard; warning: the "
        "first failed rows.",
        show_default="warning on a terminal, else info",
        rich_help_panel=RUN_PANEL,
    ),
]

# Options of commands that read the images of a run again.
RunManifest = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        help="Where the run's manifest is now; relative URIs of images start from its folder.",
        show_default="where it was when the run began",
    ),
]
RunSaliency = Annotated[
    str | None,
    typer.Option(
        "--saliency",
        help="The run's saliency network, which finds the masks: path or s3:// URI.",
        show_default="the packaged one",
    ),
]

# Options of a decision between codecs: the arguments of `decision.decide.decide`.
DecidedScores = Annotated[
    str,
    typer.Argument(
        help="Folder or s3:// prefix that `roi-ray score` has written to, or a table with the "
        "same columns. It needs the columns codec and bpp.",
        metavar="SCORES",
    ),
]
Anchor = Annotated[
    str | None,
    typer.Option(
        help="Codec that the others are compared with.",
        show_default="jpeg, or the codec with the most points",
        rich_help_panel=_DECISION,
    ),
]
DecisionMetrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        help="Column of the scores to compare codecs by. Repeatable; the first one decides.",
        show_default="ssimulacra2 if measured, else ms_ssim; then psnr, lpips, d_loss, roi_*",
        rich_help_panel=_DECISION,
    ),
]
DecisionCodecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        help="Codec to include, besides the anchor. Repeatable.",
        show_default="all codecs of the scores",
        rich_help_panel=_DECISION,
    ),
]
GroupBy = Annotated[
    list[str] | None,
    typer.Option(
        help="Column of the scores that groups images, such as the kind of content. Repeatable.",
        show_default=False,
        rich_help_panel=_DECISION,
    ),
]
PreferenceModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="Preference model that predicts which codec people prefer: the packaged one, a file "
        "that `roi-ray train` wrote, or none.",
        rich_help_panel=_DECISION,
    ),
]

# Options of how a training runs.
Seed = Annotated[
    int, typer.Option(help="Seed of everything that is random.", rich_help_panel=_TRAINING)
]
Runs = Annotated[
    str | None,
    typer.Option(
        help="Folder that all nodes can reach, or s3:// prefix, for checkpoints. The same command "
        "resumes a killed training from them.",
        show_default="out/runs; for an output on s3://, runs/ beside it",
        rich_help_panel=_TRAINING,
    ),
]
Every = Annotated[
    int, typer.Option(min=1, help="Steps between checkpoints.", rich_help_panel=_TRAINING)
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Training processes, which share each batch.",
        rich_help_panel=_TRAINING,
    ),
]
Gpu = Annotated[
    bool,
    typer.Option("--gpu", help="Give each training process a GPU.", rich_help_panel=_TRAINING),
]
HeldOut = Annotated[
    int,
    typer.Option(
        min=1,
        help="Images that are kept out of the training, for the report.",
        rich_help_panel=_TRAINING,
    ),
]

RECIPE_HELP = f"One of: {', '.join(RECIPES)}."
