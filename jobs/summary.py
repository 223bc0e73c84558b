r"""Print which codec of a sweep wins: `roi-ray summary` as a submitted job.

ray job submit --working-dir . -- python jobs/summary.py s3://bucket/sweep/scores
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("summary")
