"""Questions from an output of `roi-ray score`: pairs of images of one original.

What is certain is not asked, except as a gold question: that an image is better which is better in
every column, and visibly; see `gold`. Images with the same pixels are not asked about either.
"""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.io.tables import TableFiles, find_table_files
from roi_ray.preference.comparisons.features import list_features
from roi_ray.preference.comparisons.provenance import read_scores_base, read_scores_provenance
from roi_ray.preference.comparisons.table import canonical_uri
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.collected import Collected, add_answers
from roi_ray.votes.questions.gold import MAX_GOLD, choose_gold, find_better
from roi_ray.votes.questions.pairs import choose_pairs
from roi_ray.votes.questions.score_columns import METHOD, Codes
from roi_ray.votes.questions.score_images import ScoreImages, read_score_images
from roi_ray.votes.questions.table import make_key

CERTAIN = "pairs whose answer is certain, or of identical images"
TOO_MANY = "pairs above max_questions, or whose answer is certain, or of identical images"
ONE_FILE = "pairs of one file under two names"


def collect_scores(uri: str, options: VoteOptions) -> Collected:
    """Make questions of the images of scores.

    Args:
        uri: path or URI of an output of `roi-ray score`.
        options: their number, at most, besides gold questions; and the seed.

    Raises:
        ManifestError: the scores cannot be used.
        UsageError: `max_questions` is too small to link all methods.
    """
    texts = [*schema.URIS, schema.CODEC, METHOD, schema.TARGET_METRIC]
    files = find_table_files(uri, texts)
    base = read_scores_base(files.base) or files.base
    images, left_out = read_score_images(files, base)
    rng = np.random.default_rng(options.seed)
    gold = choose_gold(images, min(MAX_GOLD, options.max_questions), rng)

    def may_ask(first: Codes, second: Codes) -> NDArray[np.bool_]:
        certain = find_better(images, first, second) != 0
        same = (images.telling[first] == images.telling[second]).all(1)
        asked: NDArray[np.bool_] = ~certain & ~(same & (images.telling.shape[1] > 0))
        return asked

    ordinary = choose_pairs(images.starts, images.method, options.max_questions, may_ask, rng)
    left_out += _count_left_out(images, len(ordinary), len(gold), options.max_questions)
    # Whether the better image of a gold question is `a` is left to chance.
    is_a = rng.random(len(gold)) < 0.5
    gold = np.where(is_a[:, None], gold, gold[:, ::-1])
    pairs = np.concatenate([ordinary, gold])
    expected = np.concatenate([np.full(len(ordinary), np.nan), is_a.astype(np.float64)])
    return _build(files, base, images.row[pairs], _names(images, pairs), expected, left_out)


def _count_left_out(images: ScoreImages, ordinary: int, gold: int, limit: int) -> Counter[str]:
    sizes = np.diff(images.starts).astype(object)  # whole numbers of any size
    number = int((sizes * (sizes - 1) // 2).sum()) - ordinary - gold
    return Counter({CERTAIN if ordinary < limit else TOO_MANY: number})


def _names(images: ScoreImages, pairs: Codes) -> list[pa.Array]:
    methods = pa.array(images.methods, pa.string())
    return [methods.take(pa.array(images.method[pairs[:, side]])) for side in (0, 1)]


def _build(
    files: TableFiles,
    base: str,
    pairs: Codes,
    methods: list[pa.Array],
    expected: NDArray[np.float64],
    left_out: Counter[str],
) -> Collected:
    """Build the table of questions; `pairs` has the rows of both images in the scores, (K, 2)."""
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    scores = _with_bpp(files.read_numbered(rows.tolist()))
    sides = [scores.take(pa.array(places[:, side])) for side in (0, 1)]
    reference, a, b = (
        pa.array([canonical_uri(uri, base) for uri in column.to_pylist()], pa.string())
        for column in (sides[0][schema.REFERENCE], *(side[schema.DISTORTED] for side in sides))
    )
    columns = {schema.REFERENCE: reference, schema.A: a, schema.B: b, schema.GROUP: reference}
    for side, table, method in zip(schema.SIDES, sides, methods, strict=True):
        columns[f"{METHOD}_{side}"] = method
        if schema.CODEC in table.column_names:
            columns[f"{schema.CODEC}_{side}"] = table[schema.CODEC].cast(pa.string())
        numbers = (schema.BPP, schema.ROI_FRACTION, *list_features(table.column_names))
        for name in numbers:
            if name in table.column_names:
                columns[f"{name}_{side}"] = table[name].cast(pa.float64())
    columns[schema.SCORED_WITH] = pa.array(
        [read_scores_provenance(files.base)] * len(pairs), pa.string()
    )
    keys = list(map(make_key, *(column.to_pylist() for column in (reference, a, b))))
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    is_first = pa.array([first[key] == row for row, key in enumerate(keys)], pa.bool_())
    is_kept = pc.and_(is_first, pc.not_equal(a, b))
    table = add_answers(pa.table(columns), keys, expected).filter(is_kept)
    left_out[ONE_FILE] = len(keys) - len(table)
    return Collected(table, files.uri, base, left_out, _largest(scores))


def _largest(scores: pa.Table) -> int:
    """Return the pixels of the largest image; 0 if no row has its size."""
    if not {"width", "height"} <= set(scores.column_names):
        return 0
    return int(pc.max(pc.multiply(scores["width"], scores["height"])).as_py() or 0)


def _with_bpp(scores: pa.Table) -> pa.Table:
    """Add bits per pixel, if the scores have only the size of the files."""
    sizes = (schema.BYTES, "width", "height")
    if schema.BPP in scores.column_names or not set(sizes) <= set(scores.column_names):
        return scores
    size, width, height = (scores[name].to_numpy().astype(np.float64) for name in sizes)
    return scores.append_column(schema.BPP, pa.array(8 * size / (width * height), from_pandas=True))
