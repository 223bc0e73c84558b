r"""Write the page that decides: `roi-ray report` as a submitted job.

ray job submit --working-dir . -- python jobs/report.py s3://bucket/scores \
    --output s3://bucket/report.html
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("report")
