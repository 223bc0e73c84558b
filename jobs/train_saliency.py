r"""Train the saliency network on a cluster: `roi-ray train-saliency` as a submitted job.

ray job submit --working-dir . -- python jobs/train_saliency.py --images s3://bucket/images \
    --maps s3://bucket/maps --output s3://bucket/saliency.safetensors --gpu
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("train-saliency")
