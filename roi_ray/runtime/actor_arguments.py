"""Pass what the actors of Ray Data need to start by value, instead of through the object store.

Ray Data puts the function and the settings of its actors into the object store, and passes
references to them, whatever their size. Ray cannot restore such an object for an actor that it
restarts (https://github.com/ray-project/ray/issues/53727), and prints an error about it at the
start of every job. Both are a few kilobytes, which Ray sends along with the request for the actor
if they are passed by value. `max_restarts=0` would also avoid the error, but then a job ends when
one actor does.

Ray Data has no option for it, so that this module replaces two attributes of an internal class;
`pyproject.toml` pins Ray's minor version. Where the attributes are missing, nothing is replaced.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functools import cached_property

    from ray.data import DataContext
    from ray.data._internal.execution.operators import actor_pool_map_operator

_BY_VALUE = "roi_ray.arguments_by_value"


def pass_arguments_by_value(context: "DataContext") -> None:
    """Pass the arguments of actors by value in the datasets that are made with this context.

    Datasets of other programs in this process keep Ray's way.
    """
    from ray.data._internal.execution.operators import actor_pool_map_operator

    context.set_config(_BY_VALUE, True)
    operator = actor_pool_map_operator.ActorPoolMapOperator
    for reference, value in {
        "_data_context_ref": "data_context",
        "_map_transformer_ref": "_map_transformer",
    }.items():
        if hasattr(operator, reference) and reference not in vars(operator):
            setattr(operator, reference, _make_property(getattr(operator, reference), value))


def _make_property(original: "cached_property[object]", value: str) -> property:
    """Make a property that is a value of the operator, or what Ray has made from it.

    Args:
        original: Ray's cached property, which puts the value into the object store.
        value: name of the attribute that has the value.
    """

    def get(operator: "actor_pool_map_operator.ActorPoolMapOperator") -> object:
        if operator.data_context.get_config(_BY_VALUE, False):
            return getattr(operator, value)
        return original.__get__(operator, type(operator))

    return property(get)
