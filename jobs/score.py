r"""Score a sweep on a cluster: `roi-ray score` as a submitted job.

ray job submit --working-dir . -- python jobs/score.py --manifest s3://bucket/sweep.parquet \
    --output s3://bucket/scores
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("score")
