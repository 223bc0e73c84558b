"""Show the progress of a scoring run: `roi-ray status` as a submitted job.

ray job submit --working-dir . -- python jobs/status.py s3://bucket/scores
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("status")
