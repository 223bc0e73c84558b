"""Groups of measurements that say similar things about an image.

PSNR, for example, rises where `mse_y` falls. How a model splits what such columns have in common is
chance. The sum over a group is what can be understood.
"""

from roi_ray.preference.comparisons.regions import basic_feature

GROUPS = {
    "overall error": ("psnr", "mse", "mse_y"),
    "colour": ("mse_cb", "mse_cr"),
    "structure": ("ms_ssim", "ssimulacra2", "ssimulacra2_y"),
    "texture": ("texture_gained", "texture_lost"),
    "learned similarity": ("lpips",),
    "realism": ("d_loss",),
}
"""Columns of the whole image by the name of their group; those under the mask are in the same."""

OTHER = "other"
"""Group of columns that `GROUPS` does not know."""

_GROUP_OF = {column: name for name, columns in GROUPS.items() for column in columns}


def group_of(column: str) -> str:
    """Name the group of a column of scores.

    Args:
        column: name of a column that measures quality, of the whole image or under the mask.

    Examples:
        >>> group_of("psnr"), group_of("roi_mse_cb")
        ('overall error', 'colour')
    """
    return _GROUP_OF.get(basic_feature(column), OTHER)
