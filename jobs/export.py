r"""Write scores in the format of another tool: `roi-ray export` as a submitted job.

ray job submit --working-dir . -- python jobs/export.py s3://bucket/scores --format csv \
    --output s3://bucket/tables
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("export")
