"""Replace Arrow types that few programs can read, or compute with, by common ones.

polars and DuckDB hold text as `string_view`; where pyarrow writes it to Parquet, the file's Arrow
schema says so, and pyarrow reads it back as such. pyarrow cannot select rows of such a column.
"""

from contextlib import suppress

import pyarrow as pa

_COMMON = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def with_common_types(table: pa.Table) -> pa.Table:
    """Return the table with each column in the common type of equal values.

    Views become text, bytes and lists, run-end-encoded columns are decoded, decimals of 32 and 64
    bits get 128, also inside lists, structs, maps and dictionaries. All other types stay, so that
    the SHA-256 of such tables stays too.

    Raises:
        ArrowInvalid: a value does not fit, such as more than 2 GiB of text in one chunk.
    """
    for index, field in enumerate(table.schema):
        common = _common_type(field.type)
        if common != field.type:
            column = _convert(table[index], common)
            table = table.set_column(index, field.with_type(common), column)
    return table


def widen_dictionaries(table: pa.Table) -> pa.Table:
    """Give all dictionary columns 32-bit indices.

    pandas uses 8-bit indices for up to 127 categories. Several files together may have more.
    """
    for index, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind) and kind.index_type.bit_width < 32:
            wide = pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
            table = table.set_column(index, field.name, table[index].cast(wide))
    return table


def _convert(column: pa.ChunkedArray, common: pa.DataType) -> pa.ChunkedArray:
    kind = str(column.type)
    if isinstance(column.type, pa.BaseExtensionType):
        storage = [chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(storage, column.type.storage_type)
    # Arrow's cast of list views makes invalid lists where the last one is null.
    if "list_view<" not in kind:
        # pyarrow 17 cannot cast views, and no pyarrow run ends of views.
        with suppress(pa.ArrowNotImplementedError):
            return column.cast(common)
    chunks = [pa.array(chunk.to_pylist(), common) for chunk in column.chunks]
    return pa.chunked_array(chunks, common)


def _common_type(kind: pa.DataType) -> pa.DataType:
    """Return the common type of a type's values; the type itself if it is common."""
    if isinstance(kind, pa.BaseExtensionType):
        storage = _common_type(kind.storage_type)
        return kind if storage == kind.storage_type else storage
    if kind in _COMMON:
        return _COMMON[kind]
    if pa.types.is_decimal(kind) and kind.bit_width < 128:
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_run_end_encoded(kind):
        return _common_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _common_type(kind.value_type), kind.ordered)
    return _common_nested_type(kind) if pa.types.is_nested(kind) else kind


def _common_nested_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_common_field(kind.value_field))
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(_common_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_common_field(kind.value_field), kind.list_size)
    if pa.types.is_map(kind):
        key, value = _common_field(kind.key_field), _common_field(kind.item_field)
        return pa.map_(key, value, keys_sorted=kind.keys_sorted)
    if pa.types.is_struct(kind):
        return pa.struct([_common_field(field) for field in kind])
    return kind


def _common_field(field: pa.Field) -> pa.Field:
    return field.with_type(_common_type(field.type))
