"""Measure speed on a node of a cluster: `roi-ray bench` as a submitted job.

ray job submit --working-dir . -- python jobs/bench.py --device cuda --precision fp16 --decoded
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("bench")
