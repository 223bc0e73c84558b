r"""Import a data set of human choices: `roi-ray import-choices` as a submitted job.

ray job submit --working-dir . -- python jobs/import_choices.py mucped23 s3://bucket/mucped23 \
    --output s3://bucket/choices.parquet
"""

import typer

from roi_ray.cli.import_choices import main

if __name__ == "__main__":
    typer.run(main)
