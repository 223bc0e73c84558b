"""Measure speed on a node of a cluster: `roi-ray bench` as a submitted job.

ray job submit --working-dir . -- python jobs/bench.py --device cuda --precision fp16 --decoded
"""

import typer

from roi_ray.cli.bench import main

if __name__ == "__main__":
    typer.run(main)
