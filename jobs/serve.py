"""Score images over HTTP from a cluster: `roi-ray serve` as a submitted job.

ray job submit --no-wait --working-dir . -- python jobs/serve.py --device cuda --replicas 4
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("serve")
