"""The groups of measurements."""

import pytest

from roi_ray import schema
from roi_ray.preference.comparisons.regions import basic_feature
from roi_ray.preference.groups import GROUPS, OTHER, group_of


@pytest.mark.parametrize("column", schema.QUALITY_COLUMNS)
def test_every_column_of_quality_is_in_exactly_one_group(column) -> None:
    groups = [name for name, columns in GROUPS.items() if basic_feature(column) in columns]
    assert groups == [group_of(column)], f"put {column} into a group of `groups.GROUPS`"


def test_groups_have_columns_of_the_schema_only() -> None:
    columns = [column for members in GROUPS.values() for column in members]
    assert set(columns) <= set(schema.QUALITY_COLUMNS)
    assert len(columns) == len(set(columns))


def test_unknown_column_is_in_the_group_of_the_others() -> None:
    assert group_of("roi_sharpness") == OTHER
