"""Options that several commands share."""

RUNS_HELP = (
    "For checkpoints, from which a killed job goes on: a folder that all nodes see, or s3://. "
    "Default: out/runs; runs/ beside an output on s3://."
)
