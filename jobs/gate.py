r"""Fail if a codec needs more bits than its baseline: `roi-ray gate` as a submitted job.

ray job submit --working-dir . -- python jobs/gate.py --baseline s3://bucket/main/scores \
    --candidate s3://bucket/change/scores --metric roi_lpips --junit s3://bucket/change/gate.xml
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("gate")
