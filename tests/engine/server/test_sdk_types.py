"""Every kind of object, to the engine and back, with the official client."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.e2e


def round_trip(session: Any, value: Any) -> Any:
    session.upload({"uploaded": value})
    return session.run("uploaded")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**40, 2**40),
        (1.5, 1.5),
        (float("nan"), None),
        ("hé", "hé"),
        ("", None),
        (b"a\x01b", b"a\x01b"),
        (np.int8(3), 3),
        (np.int16(300), 300),
        (np.int32(-7), -7),
        (np.float32(1.5), 1.5),
        (date(2024, 1, 1), np.datetime64("2024-01-01")),
        (datetime(2024, 1, 1, 13, 35, 30, 123000), np.datetime64("2024-01-01T13:35:30.123")),
        (time(13, 45, 30), np.datetime64("1970-01-01T13:45:30.000000000")),
        (np.datetime64("2024-01", "M"), np.datetime64("2024-01")),
        (np.datetime64("2024-01-01T13", "h"), np.datetime64("2024-01-01T13", "h")),
        (np.datetime64("2024-01-01T13:35:30", "s"), np.datetime64("2024-01-01T13:35:30")),
        (np.datetime64("2024-01-01T13:35:30.123456789"), np.datetime64("2024-01-01T13:35:30.123456789")),
        (Decimal("1.23"), Decimal("1.23")),
        ({1, 2, 3}, {1, 2, 3}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
        ([1, "a", 2.5], [1, "a", 2.5]),
    ],
)
def test_values(session: Any, value: Any, expected: Any) -> None:
    assert round_trip(session, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (["a", None, "c"], ["a", "", "c"]),
        (np.array([True, False]), [True, False]),
        (np.array([1.5, np.nan]), [1.5, np.nan]),
        (np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"), [np.datetime64("2024-01-01"), np.datetime64("NaT")]),
        (np.array([1, 2], dtype="int16"), [1, 2]),
        (np.array([], dtype="int64"), []),
    ],
)
def test_vectors(session: Any, value: Any, expected: list[Any]) -> None:
    np.testing.assert_array_equal(round_trip(session, value), np.array(expected, dtype=None))


def test_matrices(session: Any) -> None:
    data = np.arange(6, dtype="int32").reshape(2, 3)
    values, rows, columns = round_trip(session, data)
    np.testing.assert_array_equal(values, data)
    assert rows is None
    assert columns is None


def test_tables_of_every_type(session: Any) -> None:
    frame = pd.DataFrame(
        {
            "bool": [True, False],
            "char": np.array([1, 2], "int8"),
            "long": np.array([1, -5]),
            "double": [1.5, np.nan],
            "string": ["a", "é"],
            "symbol": ["x", "y"],
            "date": np.array(["2024-01-01", "2024-02-01"], "datetime64[ns]"),
            "stamp": np.array(["2024-01-01T01:02:03.123456789", "NaT"], "datetime64[ns]"),
            "uuid": ["5d212a78-cc48-e3b1-4235-b4d91473ee87", "00000000-0000-0000-0000-000000000001"],
            "ip": ["192.168.0.1", "10.0.0.255"],
            "int128": ["5d212a78cc48e3b14235b4d91473ee87", "00000000000000000000000000000001"],
            "decimal": [Decimal("1.2345"), Decimal("-2.0000")],
            "array": [np.array([1, 2]), np.array([3])],
            "blob": [b"ab", b"c"],
            "second": np.array(["1970-01-01T09:30:00", "1970-01-01T09:30:01"], "datetime64[ns]"),
        }
    )
    types = {
        "symbol": "SYMBOL", "date": "DATE", "uuid": "UUID", "ip": "IPADDR", "int128": "INT128",
        "array": "INT[]", "second": "SECOND",
    }  # fmt: skip
    object.__setattr__(frame, "__DolphinDB_Type__", types)
    session.upload({"uploaded": frame})
    names = session.run("exec typeString from schema(uploaded).colDefs").tolist()
    assert names == [
        "BOOL", "CHAR", "LONG", "DOUBLE", "STRING", "SYMBOL", "DATE", "NANOTIMESTAMP", "UUID", "IPADDR", "INT128",
        "DECIMAL64(4)", "INT[]", "BLOB", "SECOND",
    ]  # fmt: skip
    back = session.run("uploaded")
    for name in frame.columns:
        if name == "array":
            assert [item.tolist() for item in back[name]] == [[1, 2], [3]]
        else:
            pd.testing.assert_series_equal(back[name], frame[name], check_dtype=False)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("int()", None),
        ("1:2", [1, 2]),
        ("`IBM", "IBM"),
        ("2024.01.01", np.datetime64("2024-01-01")),
        ("13:30m", np.datetime64("1970-01-01T13:30")),
        ("set(1 2)", {1, 2}),
        ("set([true])", {1}),
        ("dict([1,`a],[3,4])", {"1": 3, "a": 4}),
        ("sum", "sum"),
        ("<x + 1>", "< x + 1 >"),
        ("array(INT, 0)", []),
        ("[NULL, NULL]", [None, None]),
        ("2024.01.01T00:00:00.000:2024.01.02T00:00:00.000", [np.datetime64("2024-01-01"), np.datetime64("2024-01-02")]),
        ("dict(2024.01.01 2024.01.02, 1 2)", {"2024.01.01": 1, "2024.01.02": 2}),
    ],
)
def test_results_of_scripts(session: Any, script: str, expected: Any) -> None:
    result = session.run(script)
    assert (result.tolist() if isinstance(result, np.ndarray) else result) == expected


def test_symbol_columns_keep_apart(session: Any) -> None:
    frame = session.run("table(`a`b`a$SYMBOL as s, `x`y`z$SYMBOL as t)")
    assert frame.to_dict("list") == {"s": ["a", "b", "a"], "t": ["x", "y", "z"]}


def test_what_the_client_cannot_show_goes_as_text(session: Any) -> None:
    assert session.run("3d") == "3d"
    assert session.run("2") == 2


def test_matrices_the_client_cannot_show_are_refused(session: Any) -> None:
    with pytest.raises(RuntimeError, match="STRING"):
        session.run("matrix([`a`b])")
    assert session.run("1+1") == 2


def test_decimals_as_doubles(session: Any) -> None:
    assert session.run("decimal64(1.23, 2)") == Decimal("1.23")
    assert session.run("decimal64(1.23, 2)", disableDecimal=True) == 1.23
    np.testing.assert_array_equal(session.run("decimal64([1.5, NULL], 2)", disableDecimal=True), [1.5, np.nan])


def test_compressed_columns(connect: Any, endpoint: Any) -> None:
    import dolphindb

    owner = connect()
    owner.run("share table(100:0, `d`v`x, [DATE, LONG, DOUBLE]) as compressed_target")
    writer = dolphindb.MultithreadedTableWriter(
        endpoint.host, endpoint.port, endpoint.user, endpoint.password, "", "compressed_target",
        batchSize=1000, throttle=0.1, threadCount=1, compressMethods=["DELTA", "DELTA", "LZ4"],
    )  # fmt: skip
    count = 5000
    for i in range(count):
        writer.insert(np.datetime64("2024-01-01") + i % 50, i * i, i * 0.5)
    writer.waitForThreadCompletion()
    frame = owner.run("select * from compressed_target")
    owner.run("undef(`compressed_target, SHARED)")
    assert frame["v"].tolist() == [i * i for i in range(count)]
    assert frame["x"].tolist() == [i * 0.5 for i in range(count)]
    assert frame["d"].iloc[49] == pd.Timestamp("2024-02-19")
