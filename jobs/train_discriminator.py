r"""Train the discriminator on a cluster: `roi-ray train-discriminator` as a submitted job.

ray job submit --working-dir . -- python jobs/train_discriminator.py \
    --manifest s3://bucket/sweep/manifest.parquet --output s3://bucket/discriminator.safetensors \
    --gpu
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("train-discriminator")
