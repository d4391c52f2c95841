"""What users may do: granted, denied, by group, and as owners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

Connect = Callable[..., Any]
URL = "dfs://rights"


@pytest.fixture
def people(connect: Connect) -> Iterator[tuple[Any, Any]]:
    """An administrator with a table, and an ordinary user."""
    admin = connect()
    admin.run(
        f"""
        db = database("{URL}", VALUE, 1..3)
        pt = db.createPartitionedTable(table(1 2 3 as id, 1.5 2.5 3.5 as x), `pt, `id)
        pt.append!(table(1 2 3 as id, 1.5 2.5 3.5 as x))
        createUser("bea", "secret1")
        createGroup("readers")
        """
    )
    yield admin, connect("bea", "secret1")
    admin.run(f'dropDatabase("{URL}"); deleteUser("bea"); deleteGroup("readers")')


def test_nothing_is_allowed_that_was_not_granted(people: tuple[Any, Any], connect: Connect) -> None:
    _, bea = people
    for session in (bea, connect(user=None)):
        with pytest.raises(RuntimeError, match="Not granted to read"):
            session.run(f'select * from loadTable("{URL}", `pt)')
    for script in (f'dropDatabase("{URL}")', f'dropTable(database("{URL}"), `pt)', f'truncate("{URL}", `pt)'):
        with pytest.raises(RuntimeError, match="Not granted"):
            bea.run(script)
    assert bea.run("getClusterDFSTables()").tolist() == []
    with pytest.raises(RuntimeError, match="administrators"):
        bea.run(f'grant("bea", TABLE_READ, "{URL}/pt")')


def test_who_is_logged_in(people: tuple[Any, Any]) -> None:
    admin, bea = people
    assert admin.run('isLoggedIn("bea")') is True
    assert admin.run('isLoggedIn("nobody")') is False
    assert {"admin", "bea"} <= set(admin.run("getAuthenticatedUsers()"))
    with pytest.raises(RuntimeError, match="administrators"):
        bea.run("getAuthenticatedUsers()")


def test_rights_on_a_table(people: tuple[Any, Any]) -> None:
    admin, bea = people
    admin.run(f'grant("bea", TABLE_READ, "{URL}/pt")')
    assert bea.run(f'size(loadTable("{URL}", `pt))') == 3
    with pytest.raises(RuntimeError, match="Not granted to add rows"):
        bea.run(f'loadTable("{URL}", `pt).append!(table(1 as id, 0.5 as x))')
    admin.run(f'grant("bea", TABLE_WRITE, "{URL}/pt"); deny("bea", TABLE_DELETE, "{URL}/pt")')
    bea.run(f'pt = loadTable("{URL}", `pt); pt.append!(table(1 as id, 0.5 as x)); update pt set x = 9.0 where id = 2')
    with pytest.raises(RuntimeError, match="Not granted to delete rows"):
        bea.run("delete from pt where id = 1")
    admin.run(f'revoke("bea", TABLE_READ, "{URL}/pt")')
    with pytest.raises(RuntimeError, match="Not granted to read"):
        bea.run("select * from pt")


def test_rights_of_groups_and_denials(people: tuple[Any, Any]) -> None:
    admin, bea = people
    admin.run(f'addGroupMember("bea", "readers"); grant("readers", DB_READ, "{URL}")')
    assert bea.run(f'exec count(*) from loadTable("{URL}", `pt)') == 3
    assert admin.run('getUsersByGroupId("readers")').tolist() == ["bea"]
    access = admin.run('getUserAccess("bea", true)')
    assert access["DB_READ_allowed"].tolist() == [URL]
    assert access["TABLE_READ"].tolist() == ["none"]
    admin.run('deny("bea", TABLE_READ, "*")')
    with pytest.raises(RuntimeError, match="Not granted to read"):
        bea.run(f'select * from loadTable("{URL}", `pt)')
    assert admin.run('getUserAccess("bea")')["TABLE_READ"].tolist() == ["deny"]
    admin.run('revoke("bea", TABLE_READ, "*"); deleteGroupMember("bea", "readers")')
    with pytest.raises(RuntimeError, match="Not granted to read"):
        bea.run(f'select * from loadTable("{URL}", `pt)')


def test_owners_do_as_they_like_and_grant(people: tuple[Any, Any], connect: Connect) -> None:
    admin, bea = people
    with pytest.raises(RuntimeError, match="Not granted to manage"):
        bea.run('database("dfs://own", VALUE, 1..3)')
    admin.run('grant("bea", DB_OWNER, "dfs://own*"); createUser("cid", "secret1")')
    bea.run('db = database("dfs://own", VALUE, 1..3); db.createPartitionedTable(table(1 as id), `t, `id)')
    bea.run('grant("cid", TABLE_READ, "dfs://own/t")')
    assert connect("cid", "secret1").run('size(loadTable("dfs://own", `t))') == 0
    assert bea.run('getTableAccess("dfs://own", `t)').query("name == 'cid'")["TABLE_READ"].tolist() == ["ALLOW"]
    bea.run('dropDatabase("dfs://own")')
    admin.run('deleteUser("cid")')


def test_unknown_rights_are_refused(people: tuple[Any, Any]) -> None:
    admin, _ = people
    with pytest.raises(RuntimeError, match="no right"):
        admin.run('grant("bea", "FLY")')
    with pytest.raises(RuntimeError, match="does not exist"):
        admin.run('grant("nobody", TABLE_READ, "*")')


def test_a_stored_table_is_measured_and_its_columns_are_read(people: tuple[Any, Any]) -> None:
    admin, _ = people
    assert admin.run("(rows(pt), cols(pt), size(pt))") == [3, 2, 3]
    assert admin.run("pt.x").tolist() == admin.run("pt[`x]").tolist() == [1.5, 2.5, 3.5]
    listed = admin.run("objs()").query("name == 'pt'")
    assert (listed["rows"].tolist(), listed["columns"].tolist()) == ([3], [2])


def test_jobs_and_partitions_of_others_are_not_shown(people: tuple[Any, Any]) -> None:
    admin, bea = people
    admin.run('secret = submitJob("secret", "", def() { return 42 })')
    name = admin.run("secret")
    assert admin.run("getJobReturn(secret, true)") == 42
    for function in ("getJobReturn", "getJobMessage", "getJobStatus"):
        with pytest.raises(RuntimeError, match="belongs to another user"):
            bea.run(f'{function}("{name}")')
    assert len(admin.run("getTabletsMeta()")) > 0
    assert len(bea.run("getTabletsMeta()")) == 0


def test_map_reduce_over_data_sources(people: tuple[Any, Any]) -> None:
    admin, _ = people
    assert admin.run("ds = sqlDS(<select x from pt where id > 1>); size(ds)") == 2
    assert admin.run("mr(ds, {t -> sum(t.x)}, +)") == 6.0
    assert admin.run("mr(ds, {t -> sum(t.x)}, , {r -> max(r)})") == 3.5
    with pytest.raises(RuntimeError, match="data sources"):
        admin.run("mr(1..3, sum)")
