"""A hash of a table's content that is independent of row order and file layout."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evergreen.data.arrow_values import numbers_of, validity_of

Words = npt.NDArray[np.uint64]

_MODULUS = 1 << 128
_LOW_HALF = np.uint64(0xFFFFFFFF)


class Fingerprint:
    """Computes the fingerprint of a table batch by batch.

    Each row gets a 128-bit hash from the hashes of its values, each keyed with the name and type of its column. The row hashes are
    summed modulo 2^128, which does not depend on row order and, unlike XOR, does not cancel two equal rows. Fixed-width values are
    mixed with the finalizer of SplitMix64 (Steele, Lea and Flood, 2014), others with BLAKE2b. The fingerprint detects changes but is
    not secure against forgery.
    """

    def __init__(self, schema: pa.Schema) -> None:
        """Start with an empty table of this schema."""
        self._schema = schema
        self._sum = 0
        self._rows = 0
        self._keys = {field.name: _words(field.name, str(field.type)) for field in schema}
        self._nulls = {field.name: _words(field.name, str(field.type), "null") for field in schema}

    def update(self, batch: pa.RecordBatch) -> None:
        """Add rows; the batch must have the table's schema."""
        high, low = np.zeros((2, batch.num_rows), dtype=np.uint64)
        for field, column in zip(self._schema, batch.columns, strict=True):
            first, second = _patterns(column)
            present = validity_of(column)
            key, null = self._keys[field.name], self._nulls[field.name]
            high += np.where(present, _mixed(first + key[0]), null[0])
            low += np.where(present, _mixed(second ^ key[1]), null[1])
        # Without a final mix per row, swapping two rows' values in one column would not change the sum.
        self._sum = (self._sum + (_total(_mixed(high ^ _mixed(low))) << 64) + _total(_mixed(low + _mixed(high)))) % _MODULUS
        self._rows += batch.num_rows

    def hexdigest(self) -> str:
        """Return 32 hexadecimal digits for schema, number of rows and rows."""
        columns = sorted([field.name, str(field.type)] for field in self._schema)
        return blake2b(json.dumps([columns, self._rows, f"{self._sum:032x}"]).encode(), digest_size=16).hexdigest()


def fingerprint_table(table: pa.Table) -> str:
    """Return the fingerprint of a whole table."""
    fingerprint = Fingerprint(table.schema)
    for batch in table.to_batches(max_chunksize=65_536):
        fingerprint.update(batch)
    return fingerprint.hexdigest()


def _words(*parts: str) -> Words:
    return np.frombuffer(blake2b(json.dumps(parts).encode(), digest_size=16).digest(), dtype="<u8").astype(np.uint64)


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _total(words: Words) -> int:
    # Summed in halves so that the sum of a batch does not overflow 64 bits.
    return (int((words >> np.uint64(32)).sum()) << 32) + int((words & _LOW_HALF).sum())


def _patterns(column: pa.Array) -> tuple[Words, Words]:
    """Return two words per value: equal values have equal words. Words of nulls are undefined."""
    kind = column.type
    if pa.types.is_null(kind):
        nothing = np.zeros(len(column), dtype=np.uint64)
        return nothing, nothing
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        whole = pa.uint64() if pa.types.is_uint64(kind) else pa.int64()
        words = numbers_of(column.cast(whole)).view(np.uint64)
        return words, words
    if pa.types.is_floating(kind):
        numbers = numbers_of(column.cast(pa.float64())).copy()
        numbers[numbers == 0.0] = 0.0  # -0.0 has different bits but is the same number
        numbers[np.isnan(numbers)] = np.nan  # one pattern for every NaN
        words = numbers.view(np.uint64)
        return words, words
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        ticks = column.cast(pa.int32()).cast(pa.int64()) if kind.bit_width == 32 else column.cast(pa.int64())
        words = numbers_of(ticks).view(np.uint64)
        return words, words
    return _hashed(column)


def _hashed(column: pa.Array) -> tuple[Words, Words]:
    try:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values, positions = encoded.dictionary.to_pylist(), np.where(validity_of(encoded.indices), numbers_of(encoded.indices), 0)
    except pa.ArrowException:  # lists and structs have no dictionary
        values, positions = column.to_pylist(), np.arange(len(column))
    if not values:
        nothing = np.zeros(len(column), dtype=np.uint64)
        return nothing, nothing
    digests = b"".join(blake2b(_bytes(value), digest_size=16).digest() for value in values)
    words = np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(-1, 2)[positions]
    return words[:, 0], words[:, 1]


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else repr(value).encode()
