r"""Ask people about the images of a sweep: `roi-ray vote` as a submitted job.

ray job submit --no-wait --working-dir . -- python jobs/vote.py --scores s3://bucket/scores \
    --output s3://bucket/votes --database /data/votes --host 0.0.0.0 \
    --public-url https://vote.example.org
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("vote")
