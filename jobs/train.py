r"""Train a preference model on a cluster: `roi-ray train` as a submitted job.

ray job submit --working-dir . -- python jobs/train.py \
    --comparisons s3://bucket/compared/comparisons.parquet --output s3://bucket/model.safetensors
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("train")
