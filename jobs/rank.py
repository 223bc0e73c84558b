r"""Rank codecs or methods: `roi-ray rank` as a submitted job.

ray job submit --working-dir . -- python jobs/rank.py \
    --comparisons s3://bucket/comparisons.parquet --output s3://bucket/ranking
"""

import typer

from roi_ray.cli.rank import main

if __name__ == "__main__":
    typer.run(main)
