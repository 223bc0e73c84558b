r"""Train a preference model on a cluster: `roi-ray train` as a submitted job.

ray job submit --working-dir . -- python jobs/train.py \
    --comparisons s3://bucket/compared/comparisons.parquet --output s3://bucket/model.safetensors
"""

import typer

from roi_ray.cli.train import main

if __name__ == "__main__":
    typer.run(main)
