"""Files that views are made of: photographs, their maps, and objects to paste."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from roi_ray.errors import ManifestError
from roi_ray.imaging.pixels import Pixels8
from roi_ray.training.files import read_image, read_map, read_rgba
from roi_ray.training.views import (
    SourceNames,
    crop_to_object,
    cut_out_object,
    shows_object,
)


@dataclass(frozen=True)
class SourceFiles:
    """URIs of the files that views are made of, by name; the `SourceImages` of `render_view`.

    Attributes:
        images: photographs.
        maps: maps of the photographs.
        cut_outs: further objects to paste: images with an alpha channel.
    """

    images: Mapping[str, str]
    maps: Mapping[str, str]
    cut_outs: Mapping[str, str] = field(default_factory=dict)

    def list_names(self) -> SourceNames:
        """Read all maps and list the names of photographs and of objects.

        Raises:
            ManifestError: a photograph has no map.
            ImageError, StorageError: a map cannot be read.
        """
        objects = [name for name in self.images if shows_object(self._read_map(name))]
        return SourceNames(list(self.images), [*objects, *self.cut_outs])

    def read_photograph(self, name: str) -> Image.Image:
        """Read a photograph as RGB.

        Raises:
            ImageError, StorageError: the file cannot be read.
        """
        return Image.fromarray(read_image(self.images[name]))

    def read_object(self, name: str) -> Image.Image:
        """Read a cut-out, or cut out a photograph's object: RGBA, without transparent border.

        Raises:
            ManifestError: the photograph has no map.
            ImageError, StorageError: a file cannot be read.
        """
        if name in self.cut_outs:
            return crop_to_object(Image.fromarray(read_rgba(self.cut_outs[name])))
        return cut_out_object(read_image(self.images[name]), self._read_map(name))

    def _read_map(self, name: str) -> Pixels8:
        if name not in self.maps:
            raise ManifestError(f"the image {self.images[name]} has no map")
        return read_map(self.maps[name])
