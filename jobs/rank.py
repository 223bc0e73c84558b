r"""Rank codecs or methods: `roi-ray rank` as a submitted job.

ray job submit --working-dir . -- python jobs/rank.py \
    --comparisons s3://bucket/comparisons.parquet --output s3://bucket/ranking
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("rank")
