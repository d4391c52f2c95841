from __future__ import annotations

import pytest

from engine.errors import ScriptError, UnsupportedError
from tests.engine.sql.conftest import Run


def test_tables_take_names_from_variables_and_aliases(run: Run) -> None:
    assert run("id = 1 2\ntable(id, 3 4 as x, 5 as c, id * 2)") == {
        "id": [1, 2],
        "x": [3, 4],
        "c": [5, 5],
        "col3": [2, 4],
    }


def test_tables_of_matrices_tuples_and_dictionaries(run: Run) -> None:
    assert run("x = 1 2\nt = table(x, matrix(3 4, 5 6), (7 8, 9 10))\nt") == {
        "x": [1, 2], "col1": [3, 4], "col2": [5, 6], "col3": [7, 8], "col4": [9, 10],
    }  # fmt: skip
    assert run("table(matrix(1 2, 3 4)).rename!(`a`b)") == {"a": [1, 2], "b": [3, 4]}
    assert run("table(dict(`a`b, [1 2, 3 4], true))") == {"a": [1, 2], "b": [3, 4]}


def test_empty_and_initialised_tables(run: Run) -> None:
    assert run("table(100:2, `name`id`v, [STRING, INT, `DOUBLE])") == {
        "name": [None, None],
        "id": [0, 0],
        "v": [0.0, 0.0],
    }
    assert run("table(1:0, `a`b, [INT, DOUBLE])") == {"a": [], "b": []}


def test_columns_of_different_length_are_refused(run: Run) -> None:
    with pytest.raises(ScriptError, match="same length"):
        run("table(1 2 as a, 1 2 3 as b)")
    with pytest.raises(UnsupportedError, match="stream table"):
        run("streamTable(1:0, `a, [INT])")


def test_a_table_does_not_change_with_the_vectors_it_was_made_of(run: Run) -> None:
    run("x = 1 2 3\nt = table(x)\nx[0] = 100")
    assert run("t") == {"x": [1, 2, 3]}


def test_renaming_reordering_and_dropping_columns(run: Run) -> None:
    run("t = table(1 2 as a, 3 4 as b, 5 6 as c)")
    assert list(run("t.rename!(`b, `B2)")) == ["a", "B2", "c"]
    assert list(run("reorderColumns!(t, `c`a)")) == ["c", "a", "B2"]
    assert list(run("t.dropColumns!(`a)")) == ["c", "B2"]
    assert run("replaceColumn!(t, `c, 1.5 2.5)")["c"] == [1.5, 2.5]
    assert run("columnNames(t)") == ["c", "B2"]
    with pytest.raises(ScriptError, match=r"\[zz\]"):
        run("t.dropColumns!(`zz)")


def test_metacode_functions(run: Run) -> None:
    run("t = table(1 2 3 as x)\nupdate!(t, `y, <x * 10>)\nupdate!(t, `x, <x + 1>, <x > 1>)")
    assert run("t") == {"x": [1, 3, 4], "y": [10, 20, 30]}
    assert run("erase!(t, <x > 3>)") == {"x": [1, 3], "y": [10, 20]}
    run("update!(t, `y, 5 6)\nupdate!(t, `y, 0, <x = 3>)")
    assert run("t") == {"x": [1, 3], "y": [5, 0]}


def test_columns_assigned_by_metacode(run: Run) -> None:
    run("t = table(1 2 3 as x, 4 5 6 as y)\nt[`z] = <x * y>\nt[`a`b] = <[x + 1, y + 1]>")
    assert run("t") == {"x": [1, 2, 3], "y": [4, 5, 6], "z": [4, 10, 18], "a": [2, 3, 4], "b": [5, 6, 7]}
    run("t[`y, <x > 1>] = <y + 100>\nt[`z, [<x > 1>, <y = 106>]] = 0")
    assert run("select x, y, z from t") == {"x": [1, 2, 3], "y": [4, 105, 106], "z": [4, 10, 0]}
    with pytest.raises(ScriptError, match="filter must be metacode"):
        run("t[`y, 0:2] = <x>")


def test_sort_by(run: Run) -> None:
    run("t = table(`b`a`b`a as s, 1 2 3 4 as x)")
    assert run("t.sortBy!(`s`x, [true, false])") == {"s": ["a", "a", "b", "b"], "x": [4, 2, 3, 1]}


def test_union_all(run: Run) -> None:
    run("a = table(1 2 as id, 3 4 as x)\nb = table(5 as x, 6 as id)")
    assert run("unionAll(a, b)") == {"id": [1, 2, 5], "x": [3, 4, 6]}
    assert run("unionAll(a, b, true)") == {"id": [1, 2, 6], "x": [3, 4, 5]}
    assert run("unionAll(a, table(7 as id), true)") == {"id": [1, 2, 7], "x": [3, 4, None]}


def test_transpose_and_unpivot(run: Run) -> None:
    assert run("transpose(matrix(1 2, 3 4))") == [[1, 3], [2, 4]]
    assert run("transpose((1 2, 3 4))") == [[1, 3], [2, 4]]
    assert run("unpivot(table(1 2 as id, 3 4 as a, 5 6 as b), `id, `a`b)") == {
        "id": [1, 2, 1, 2], "valueType": ["a", "a", "b", "b"], "value": [3, 4, 5, 6],
    }  # fmt: skip


def test_slices_by_key(run: Run) -> None:
    run("t = indexedTable(`s`d, `a`a`b as s, 1 2 1 as d, 10 20 30 as x)")
    assert run("sliceByKey(t, `a, `x)") == [10, 20]
    assert run("sliceByKey(t, (`a, 2))") == {"s": ["a"], "d": [2], "x": [20]}


def test_declared_types_keep_scales_and_array_vectors(run: Run) -> None:
    run("t = table(1:0, `a`b`c, [INT, DECIMAL32(2), DOUBLE[]])\ninsert into t values(1, 2.5, [1.5 2.5])")
    assert run("t") == {"a": [1], "b": [250], "c": [[1.5, 2.5]]}
    assert run("exec typeString from schema(t).colDefs") == ["INT", "DECIMAL32(2)", "DOUBLE[]"]
