"""Check scores against the reference implementations: `roi-ray verify` as a submitted job.

ray job submit --working-dir . -- python jobs/verify.py s3://bucket/scores
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("verify")
