r"""Add features and predictions to comparisons: `roi-ray compare` as a submitted job.

ray job submit --working-dir . -- python jobs/compare.py \
    --comparisons s3://bucket/choices.parquet --output s3://bucket/compared
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("compare")
