r"""Cross-validate preference models: `roi-ray evaluate` as a submitted job.

ray job submit --working-dir . -- python jobs/evaluate.py \
    --comparisons s3://bucket/compared/comparisons.parquet --output s3://bucket/evaluation
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("evaluate")
