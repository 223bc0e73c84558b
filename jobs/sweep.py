r"""Make a sweep on a cluster: `roi-ray sweep` as a submitted job.

ray job submit --working-dir . -- python jobs/sweep.py --images s3://bucket/originals \
    --output s3://bucket/sweep --codec jpeg:10..95:5 --codec avif:5,20,35,50,65,80
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("sweep")
