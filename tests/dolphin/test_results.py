from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from dolphin.results import Column, Matrix, Result, preview, python_result, to_bytes
from dolphin.types import literal, normalize, type_name


def table(*columns: tuple[str, str, object], rows: int | None = None) -> Result:
    made = tuple(Column(name, kind, normalize(values, kind)) for name, kind, values in columns)
    return Result("TABLE", "", made, len(made[0].values) if rows is None else rows, len(made))


def strings(*items: str) -> np.ndarray:
    return np.array(items, dtype=object)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (np.datetime64("2024-01-01"), "DATE", "2024.01.01"),
        (np.datetime64("9999-12-31"), "DATE", "9999.12.31"),
        (np.datetime64("1969-12-31"), "DATE", "1969.12.31"),
        (np.datetime64("2024-01"), "MONTH", "2024.01M"),
        (np.datetime64("1970-01-01T13:45:30.123"), "TIME", "13:45:30.123"),
        (np.datetime64("1970-01-01T13:30"), "MINUTE", "13:30"),
        (np.datetime64("1970-01-01T13:30:30"), "SECOND", "13:30:30"),
        (np.datetime64("2024-01-01T13:35:30"), "DATETIME", "2024.01.01T13:35:30"),
        (np.datetime64("2024-01-01T13:35:30.120"), "TIMESTAMP", "2024.01.01T13:35:30.120"),
        (np.datetime64("1970-01-01T13:45:30.123456789"), "NANOTIME", "13:45:30.123456789"),
        (np.datetime64("2024-01-01T13:35:30.123456789"), "NANOTIMESTAMP", "2024.01.01T13:35:30.123456789"),
        (np.datetime64("2024-01-01T13", "h"), "DATEHOUR", "2024.01.01T13"),
        (np.datetime64("2024-01-01T00:00:00.000000000"), "DATE", "2024.01.01"),
        (np.datetime64("2024-01-01T00:00:00.000000000"), "TIMESTAMP", "2024.01.01T00:00:00.000"),
        (datetime(2024, 1, 1, 9, 30), "TIMESTAMP", "2024.01.01T09:30:00.000"),
        (np.datetime64("NaT"), "DATE", "NULL"),
        (float("nan"), "DOUBLE", "NULL"),
        (None, "INT", "NULL"),
        ("", "STRING", "NULL"),
        (0.1, "DOUBLE", "0.1"),
        (0.1 + 0.2, "DOUBLE", "0.30000000000000004"),
        (np.float32(0.1), "FLOAT", "0.1"),
        (123456789.0, "DOUBLE", "123456789"),
        (1e300, "DOUBLE", "1e+300"),
        (float("inf"), "DOUBLE", "inf"),
        (2**53 + 1, "LONG", "9007199254740993"),
        (np.int64(2**63 - 1), "LONG", "9223372036854775807"),
        (True, "BOOL", "true"),
        (np.bool_(False), "BOOL", "false"),
        (Decimal("1.2300"), "DECIMAL64(4)", "1.2300"),
        (Decimal("1E-9"), "DECIMAL128(9)", "0.000000001"),
        (np.array([1, 2], dtype=np.int32), "INT[]", "[1, 2]"),
        ([1.5, "a", None], "ANY", "[1.5, a, NULL]"),
    ],
)
def test_values_are_written_as_dolphindb_writes_them(value: object, kind: str, text: str) -> None:
    assert literal(value, kind) == text


def test_whole_numbers_with_null_stay_whole() -> None:
    values = normalize(np.array([1.0, np.nan, -3.0]), "INT")
    assert [literal(value, "INT") for value in values] == ["1", "NULL", "-3"]


def test_a_table_is_laid_out_as_promised() -> None:
    shown = preview(
        table(("sym", "SYMBOL", strings("A", "B", "C")), ("avg_price", "DOUBLE", np.array([1.5, np.nan, 3])))
    )
    assert shown.text == (
        "TABLE 3 rows x 2 columns\n"
        "columns: sym SYMBOL, avg_price DOUBLE\n"
        "| sym | avg_price |\n"
        "|---|---|\n"
        "| A | 1.5 |\n"
        "| B | NULL |\n"
        "| C | 3 |"
    )
    assert shown.json["columns"][1] == {"name": "avg_price", "type": "DOUBLE"}
    assert shown.json["data"] == [["A", 1.5], ["B", None], ["C", 3.0]]


def test_a_long_table_shows_its_ends_and_statistics() -> None:
    values = np.arange(1, 101, dtype=np.int64)
    shown = preview(table(("id", "LONG", values), ("name", "STRING", strings(*map(str, values)))))
    lines = shown.text.splitlines()
    assert lines[0] == "TABLE 100 rows x 2 columns"
    assert lines[4] == "| 1 | 1 |"
    assert lines[14] == "… (85 rows not shown)"
    assert lines[-2] == "| 100 | 100 |"
    assert lines[-1] == "statistics: id min=1 max=100 mean=50.5 nulls=0"
    assert shown.json["statistics"] == {"id": {"min": "1", "max": "100", "mean": "50.5", "nulls": "0"}}


def test_statistics_of_a_truncated_table_say_what_they_cover() -> None:
    text = preview(table(("id", "INT", np.arange(50, dtype=np.int32)), rows=1_000_000)).text
    assert "TABLE 1000000 rows x 1 columns" in text
    assert "… (999985 rows not shown)" in text
    assert "only the first 50 rows were fetched" in text
    assert "statistics of the first 50 rows: id min=0 max=49 mean=24.5 nulls=0" in text


def test_statistics_of_longs_decimals_and_nulls_are_exact() -> None:
    big = [2**53 + 1, None, 2**53 + 3] * 10
    decimals = [Decimal("0.10"), None, Decimal("0.30")] * 10
    nulls = np.full(30, np.nan)
    made = table(("big", "LONG", big), ("money", "DECIMAL64(2)", decimals), ("none", "DOUBLE", nulls))
    found = preview(made).json["statistics"]
    assert found["big"] == {
        "min": "9007199254740993",
        "max": "9007199254740995",
        "mean": "9.00719925474e+15",
        "nulls": "10",
    }
    assert found["money"] == {"min": "0.10", "max": "0.30", "mean": "0.2", "nulls": "10"}
    assert found["none"] == {"min": "NULL", "max": "NULL", "mean": "NULL", "nulls": "30"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Result("SCALAR", "DOUBLE", 1.5, 1, 1), "SCALAR DOUBLE: 1.5"),
        (Result("SCALAR", "DATE", np.datetime64("2024-01-01"), 1, 1), "SCALAR DATE: 2024.01.01"),
        (Result("SCALAR", "INT", None, 1, 1), "SCALAR INT: NULL"),
        (Result("NOTHING"), "NOTHING"),
        (Result("VECTOR", "INT", np.arange(1, 6), 5, 1), "VECTOR INT 5 elements\n[1, 2, 3, 4, 5]"),
        (Result("SET", "INT", [2, 1], 2, 1), "SET INT 2 elements\n{2, 1}"),
        (Result("PAIR", "INT", [1, 2], 2, 1), "PAIR INT 2 elements\n[1, 2]"),
        (Result("DICTIONARY", "", [("a", 1), ("b", [1, 2])], 2, 1), "DICTIONARY 2 entries\na: 1\nb: [1, 2]"),
        (
            Result("MATRIX", "DOUBLE", Matrix(np.array([[1.0, 2.5]]), None, ["x", "y"]), 1, 2),
            "MATRIX DOUBLE 1 x 2\n| x | y |\n|---|---|\n| 1 | 2.5 |",
        ),
        (
            Result("MATRIX", "INT", Matrix(np.array([[1], [2]]), [np.datetime64("2024-01-01"), "b"], None), 2, 1),
            "MATRIX INT 2 x 1\n|  | #0 |\n|---|---|\n| 2024.01.01 | 1 |\n| b | 2 |",
        ),
    ],
)
def test_other_forms(value: Result, text: str) -> None:
    assert preview(value).text == text
    json.dumps(preview(value).json)


def test_a_long_vector_is_shortened() -> None:
    text = preview(Result("VECTOR", "LONG", np.arange(1000), 5000, 1)).text
    assert text.startswith("VECTOR LONG 5000 elements\n[0, 1, 2,")
    assert "… (4940 elements not shown)" in text
    assert text.endswith("999]")


@pytest.mark.parametrize("limit", [200, 500, 1000, 6000])
def test_a_preview_keeps_to_its_size(limit: int) -> None:
    wide = table(*((f"column_{i}", "STRING", strings(*["value " * 20] * 100)) for i in range(200)))
    shown = preview(wide, max_chars=limit)
    assert len(shown.text) <= limit
    assert shown.text.startswith("TABLE 100 rows x 200 columns\n")
    json.dumps(shown.json)


def test_cells_cannot_break_the_grid() -> None:
    shown = preview(table(("a|b", "STRING", strings("x|y\nz", "w" * 1000)))).text.splitlines()
    assert shown[2] == "| a\\|b |"
    assert shown[4] == "| x\\|y\\nz |"
    assert "(800 characters more)" in shown[5]


def test_a_preview_tells_whether_it_holds_everything() -> None:
    assert preview(table(("a", "INT", np.arange(15, dtype=np.int32)))).complete
    assert not preview(table(("a", "INT", np.arange(16, dtype=np.int32)))).complete
    assert not preview(table(("a", "STRING", strings("w" * 1000)))).complete
    assert not preview(table(("a", "INT", np.arange(3, dtype=np.int32)), rows=4)).complete
    assert preview(Result("SCALAR", "INT", 1, 1, 1)).complete


def test_an_empty_table() -> None:
    assert preview(table(("a", "INT", np.array([], dtype=np.int32)))).text.startswith("TABLE 0 rows x 1 columns\n")


def test_csv_is_exact() -> None:
    made = table(
        ("t", "TIMESTAMP", np.array(["2024-01-01T09:30:00.001", "NaT"], dtype="M8[ms]")),
        ("p", "DOUBLE", np.array([0.1 + 0.2, np.nan])),
        ("n", "LONG", [2**60 + 1, None]),
        ("s", "STRING", strings('a,"b"\nc', "")),
    )
    media_type, data = to_bytes(made)
    assert media_type.startswith("text/csv")
    assert data.decode() == (
        't,p,n,s\n2024.01.01T09:30:00.001,0.30000000000000004,1152921504606846977,"a,""b""\nc"\n,,,\n'
    )


def test_json_is_exact() -> None:
    media_type, data = to_bytes(Result("VECTOR", "LONG", [2**60 + 1, None], 2, 1))
    assert media_type == "application/json"
    assert json.loads(data)["data"] == [2**60 + 1, None]
    document = json.loads(to_bytes(Result("DICTIONARY", "", [(np.datetime64("2024-01-01"), 1.5)], 1, 1))[1])
    assert document["entries"] == [["2024.01.01", 1.5]]


def test_plain_client_values_are_shown_too() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "t": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    assert "columns: a LONG, b STRING" in preview(frame).text
    assert preview(3).text == "SCALAR LONG: 3"
    assert preview(None).text == "NOTHING"
    assert preview([1, "a"]).text == "VECTOR ANY 2 elements\n[1, a]"
    assert python_result(frame).to_frame()["a"].tolist() == [1, 2]


def test_a_table_becomes_a_frame_and_records() -> None:
    made = table(("d", "DATE", np.array(["2024-01-01", "NaT"], dtype="M8[D]")), ("n", "INT", np.array([1.0, np.nan])))
    assert made.to_python() == [{"d": "2024.01.01", "n": 1}, {"d": None, "n": None}]
    assert list(made.to_frame().columns) == ["d", "n"]
    with pytest.raises(TypeError):
        Result("SCALAR", "INT", 1, 1, 1).to_frame()


def test_type_numbers_have_names() -> None:
    assert [type_name(code) for code in (4, 68, 38, 102, 25)] == ["INT", "INT[]", "DECIMAL64", "DECIMAL64[]", "ANY"]
