from __future__ import annotations

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ScriptError
from engine.types import Type
from engine.values import (
    NULL,
    AnyVector,
    ArrayVector,
    Dictionary,
    Matrix,
    Scalar,
    Set,
    SymbolBase,
    Table,
    Value,
    Vector,
    repeat,
    vector,
)
from engine.wire.compression import delta_block, lz4_block
from engine.wire.decode import decode
from engine.wire.encode import Encoding, encode, encode_blocks
from engine.wire.reader import ProtocolError, StreamReader

VECTORS = [
    line.split("\t")[:2]
    for line in (Path(__file__).parent / "vectors.tsv").read_text(encoding="utf-8").splitlines()[1:]
]
# What is legal to read but is written in another way: plain symbols, wider counts, functions and compression.
ONE_WAY = {
    "SYMBOL scalar \"IBM\"", "SYMBOL vector (plain 17)", "FUNCTIONDEF sum", "INT array vector, 2-byte counts",
    "LZ4-compressed INT vector", "delta-compressed DATE vector",
}  # fmt: skip


def dump(value: Value, encoding: Encoding | None = None) -> bytes:
    return b"".join(bytes(piece) for piece in encode(value, encoding))


def load(data: bytes) -> Value:
    reader = StreamReader.over(data)
    value = decode(reader)
    assert reader.buffered == 0
    return value


@pytest.mark.parametrize(("name", "text"), VECTORS, ids=[name for name, _ in VECTORS])
def test_published_bytes_survive_a_round_trip(name: str, text: str) -> None:
    data = bytes.fromhex(text)
    value = load(data)
    if name in ONE_WAY:
        again = dump(value)
        assert dump(load(again)) == again
    elif name == "dict INT→SYMBOL (plain)":
        assert dump(value) == data
    else:
        assert dump(value) == data


def test_every_published_object_is_listed() -> None:
    assert len(VECTORS) == 69


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("06000b4d0000", Scalar(Type.DATE, 19723)),
        ("1000ffffffffffffefff", Scalar(Type.DOUBLE, None)),
        ("010080", Scalar(Type.BOOL, None)),
        ("120068c3a900", Scalar(Type.STRING, "hé")),
        ("25000200000039300000", Scalar(Type.DECIMAL32, 12345, 2)),
        ("000001", NULL),
    ],
)
def test_scalars_mean_what_they_say(text: str, expected: Scalar) -> None:
    assert load(bytes.fromhex(text)) == expected


def test_compressed_columns_are_expanded() -> None:
    by_name = dict(VECTORS)
    lz4 = load(bytes.fromhex(by_name["LZ4-compressed INT vector"]))
    delta = load(bytes.fromhex(by_name["delta-compressed DATE vector"]))
    assert isinstance(lz4, Vector)
    assert lz4.data.tolist() == [1, 2, -(2**31)]
    assert isinstance(delta, Vector)
    assert delta.data.tolist() == [19723, 19724, 19727, 19732, 19739]


def test_lz4_overlapping_matches() -> None:
    # "ab" then a match of 10 bytes at distance 2, then the final literal "c".
    assert lz4_block(bytes([0x26]) + b"ab" + bytes([2, 0]) + bytes([0x10]) + b"c") == b"ab" * 6 + b"c"


@pytest.mark.parametrize("block", [b"\xf0", b"\x20a", b"\x10a\x05\x00", b"\x10a\x00\x00"])
def test_broken_lz4_is_refused(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        lz4_block(block)


def test_broken_delta_is_refused() -> None:
    with pytest.raises(ProtocolError):
        delta_block(b"\xff" * 8, 4)
    with pytest.raises(ProtocolError):
        delta_block(b"123", 4)


def test_what_crashes_clients_is_sent_in_another_form() -> None:
    assert dump(Set(Type.BOOL, {True: None}))[:4] == bytes([Type.CHAR, 4, Type.CHAR, 1])
    assert dump(Vector(Type.VOID, np.zeros(2, np.int8))) == dump(AnyVector([NULL, NULL]))
    assert load(dump(Scalar(Type.DURATION, (3, "d")))) == Scalar(Type.STRING, "3d")
    for unit in ("d", "XNYS"):
        duration = Scalar(Type.DURATION, (3, unit))
        assert load(dump(duration, Encoding(all_types=True))) == duration
    with pytest.raises(ScriptError, match="without columns"):
        dump(Table([], []))
    with pytest.raises(ScriptError, match="STRING"):
        dump(Matrix(Type.STRING, np.array([["a"]], dtype=object)))


def test_temporal_keys_become_text_where_the_client_cannot_take_them() -> None:
    value = Dictionary(Type.DATE, Type.INT, {19723: Scalar(Type.INT, 1)})
    plain = load(dump(value))
    assert isinstance(plain, Dictionary)
    assert plain.items == {"2024.01.01": Scalar(Type.INT, 1)}
    full = load(dump(value, Encoding(all_types=True)))
    assert isinstance(full, Dictionary)
    assert full.items == {19723: Scalar(Type.INT, 1)}


def test_decimals_as_double() -> None:
    plain = load(dump(vector(Type.DECIMAL64, [12345, None], 2), Encoding(decimals=False)))
    assert isinstance(plain, Vector)
    assert plain.type is Type.DOUBLE
    assert plain.data[0] == 123.45
    assert np.isnan(plain.data[1])


def test_symbol_columns_of_one_table_get_their_own_bases() -> None:
    shared = SymbolBase(["A", "B"])
    other = SymbolBase(["X", "Y"])
    codes = np.array([1, 2], np.int32)
    table = Table(
        ["a", "b", "c"],
        [
            Vector(Type.SYMBOL, codes, shared),
            Vector(Type.SYMBOL, codes, other),
            Vector(Type.SYMBOL, codes[::-1], shared),
        ],
    )
    read = load(dump(table))
    assert isinstance(read, Table)
    texts = [column.strings().tolist() for column in read.columns if isinstance(column, Vector)]
    assert texts == [["A", "B"], ["X", "Y"], ["B", "A"]]


def test_strings_with_nul_do_not_break_the_stream() -> None:
    read = load(dump(vector(Type.STRING, ["a\0b", "c"])))
    assert isinstance(read, Vector)
    assert read.data.tolist() == ["a", "c"]


def test_long_array_vectors_are_cut_into_blocks() -> None:
    count = 70_000
    value = ArrayVector(Vector(Type.INT, np.arange(count, dtype=np.int32)), np.arange(count + 1))
    read = load(dump(value))
    assert isinstance(read, ArrayVector)
    assert read.flat.data.tolist() == value.flat.data.tolist()
    assert read.offsets.tolist() == value.offsets.tolist()


def test_blocks() -> None:
    table = Table(["a"], [Vector(Type.INT, np.arange(5, dtype=np.int32))])
    read = load(b"".join(bytes(piece) for piece in encode_blocks(table, 2)))
    assert isinstance(read, AnyVector)
    assert [item.rows for item in read.items if isinstance(item, Table)] == [2, 2, 1]
    empty = load(b"".join(bytes(piece) for piece in encode_blocks(table.take(slice(0, 0)), 2)))
    assert isinstance(empty, AnyVector)
    assert len(empty) == 1


def test_results_have_a_limit() -> None:
    with pytest.raises(ScriptError, match="maxResultBytes"):
        encode(repeat(Scalar(Type.LONG, 1), 1000), Encoding(max_bytes=4000))


def test_chunks_may_arrive_in_any_size() -> None:
    value = vector(Type.STRING, [f"text {i}" for i in range(1000)])
    data = dump(value)
    position = 0

    def receive(size: int) -> bytes:
        nonlocal position
        piece = data[position : position + min(size, 7)]
        position += len(piece)
        return piece

    read = decode(StreamReader(receive))
    assert isinstance(read, Vector)
    assert read.data.tolist() == value.data.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "0401ffffffff01000000",  # negative rows
        "0401ffffff7f01000000",  # rows without bytes
        "630000",  # unknown type
        "0409",  # unknown form
        "9101020000000100000009000000000000000000000001000000",  # unknown symbol base
        "19010100000001000000" * 100,  # nested too deeply
        "000601000000010000000061000401020000000100000001000000",  # unequal rows
    ],
)
def test_malformed_objects_are_refused(text: str) -> None:
    reader = StreamReader.over(bytes.fromhex(text))
    reader.budget = 1 << 20
    with pytest.raises(ProtocolError):
        decode(reader)


def test_damaged_bytes_only_ever_raise_protocol_errors() -> None:
    rng = random.Random(7)
    for _ in range(4000):
        data = bytearray.fromhex(rng.choice(VECTORS)[1])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        reader = StreamReader.over(bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data))
        reader.budget = 1 << 22
        with contextlib.suppress(ProtocolError):
            decode(reader)
