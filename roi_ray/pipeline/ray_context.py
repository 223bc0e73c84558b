"""Settings of Ray Data that the Ray engine of every kind of job needs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from roi_ray.runtime.actor_arguments import pass_arguments_by_value

if TYPE_CHECKING:
    from ray.data import Dataset

RETRIES = 2
"""Retries of work that lost its process: `max_retries` of tasks, `max_task_retries` of actors.

Ray retries for ever by default, and one file that crashes its decoder would then never end.
"""

_BLOCK_BYTES = 1 << 20


@contextmanager
def streaming_context() -> Iterator[None]:
    """Set up Ray Data for the data set that is built in the context."""
    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Copying a context reads settings that Ray itself calls deprecated, and before 2.64 the
        # numbers of retries can only be passed in a deprecated way.
        warnings.simplefilter("ignore", DeprecationWarning)
        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # An actor takes one block at a time. Ray would put work of several references into a
        # larger one.
        context.target_max_block_size = _BLOCK_BYTES
        # A block whose process dies again and again is dropped; the job goes on.
        context.max_errored_blocks = -1
        # Each task has one block ready, and makes the next.
        context._max_num_blocks_in_streaming_gen_buffer = 1
        pass_arguments_by_value(context)
        with DataContext.current(context):
            yield


def iterate(dataset: "Dataset") -> Iterator[pa.Table]:
    """Run a data set, and yield its blocks as they are made, in any order."""
    yield from dataset.iter_batches(
        batch_size=None,
        batch_format="pyarrow",
        # With prefetching, results would wait for those of the next block.
        prefetch_batches=0,
    )
