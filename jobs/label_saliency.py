r"""Make training maps on a cluster: `roi-ray label-saliency` as a submitted job.

ray job submit --working-dir . -- python jobs/label_saliency.py --teacher s3://bucket/isnet.onnx \
    --images s3://bucket/images --maps s3://bucket/maps --output s3://bucket/views
"""

from roi_ray.cli.app import run

if __name__ == "__main__":
    run("label-saliency")
