"""Show the progress of a scoring run: `roi-ray status` as a submitted job.

ray job submit --working-dir . -- python jobs/status.py s3://bucket/scores
"""

import typer

from roi_ray.cli.status import main

if __name__ == "__main__":
    typer.run(main)
