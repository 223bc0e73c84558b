r"""Import a data set of human choices: `roi-ray import-choices` as a submitted job.

ray job submit --working-dir . -- python jobs/import_choices.py mucped23 s3://bucket/mucped23 \
    --output s3://bucket/choices.parquet
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("import-choices")
