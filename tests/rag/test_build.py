from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ConflictError, NotFoundError, UserError
from rag.generations import Generations
from rag.knowledge import KnowledgeBase, KnowledgeBaseMissingError
from rag.sources import DocumentationUnavailableError

Opener = Callable[..., KnowledgeBase]

BUILDER = """
import asyncio, resource, sys, time
from pathlib import Path
from core.settings import Settings
from rag.knowledge import KnowledgeBase
from rag.settings import KnowledgeSettings

data, documentation, source, stage, limit = sys.argv[1:]
base = KnowledgeBase(
    Settings(_env_file=None, data_dir=Path(data)),
    KnowledgeSettings(
        _env_file=None, documentation=Path(documentation), embedding="none", cache_dir=Path(data) / "cache"
    ),
)
if limit != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))

def progress(name, done, total):
    if name == stage:
        print("reached", flush=True)
        time.sleep(60)

try:
    asyncio.run(base.build([Path(source)], progress))
except Exception as error:
    print(type(error).__name__, error)
    sys.exit(7)
"""


def start_builder(data: Path, documentation: Path, source: Path, *, stage: str = "", limit: int = 0):
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(data), str(documentation), str(source), stage, str(limit)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "flamingo.md").write_text("# Flamingo\nThe flamingo desk trades rubber.\n", "utf-8")
    (folder / "pelican.txt").write_text("The pelican desk trades copper.\n", "utf-8")
    return folder


async def titles(base: KnowledgeBase, question: str) -> list[str]:
    return [Path(result.source).name for result in await base.search(question, 3) if result.kind == "document"]


async def test_search_before_the_first_build_says_how_to_build(open_knowledge: Opener):
    with pytest.raises(KnowledgeBaseMissingError, match="kb build"):
        await open_knowledge().search("anything")


async def test_builds_finds_and_remembers_the_places(open_knowledge: Opener, documents: Path):
    report = await open_knowledge().build([documents])
    assert report.changed
    assert report.problems == {}
    assert report.counts["document"] == 2
    later = open_knowledge()
    assert "flamingo.md" in await titles(later, "what does the flamingo desk trade?")
    assert not (await later.build()).changed
    assert later.status().places == (documents,)
    assert later.status().lexical_only


async def test_only_what_changed_is_read_again(open_knowledge: Opener, documents: Path):
    base = open_knowledge()
    await base.build([documents])
    (documents / "flamingo.md").write_text("# Flamingo\nThe flamingo desk trades walnuts.\n", "utf-8")
    (documents / "heron.md").write_text("# Heron\nThe heron desk trades amber.\n", "utf-8")
    (documents / "pelican.txt").unlink()
    report = await base.build()
    assert (report.read, report.removed) == (2, 1)
    assert await titles(base, "walnuts") == ["flamingo.md"]
    assert await titles(base, "amber") == ["heron.md"]
    assert await titles(base, "pelican copper") == []
    os.utime(documents / "heron.md", (1, 1))
    assert not (await base.build()).changed


async def test_a_corrupt_file_is_reported_and_skipped(open_knowledge: Opener, documents: Path):
    (documents / "bad.pdf").write_bytes(b"%PDF-1.4 garbage")
    (documents / "bad.docx").write_bytes(b"garbage")
    base = open_knowledge()
    report = await base.build([documents])
    assert sorted(Path(source).name for source in report.problems) == ["bad.docx", "bad.pdf"]
    assert all(report.problems.values())
    assert await titles(base, "flamingo") == ["flamingo.md"]
    again = await base.build()
    assert not again.changed
    assert again.problems == report.problems


async def test_a_place_that_does_not_exist_is_refused(open_knowledge: Opener, tmp_path: Path):
    with pytest.raises(NotFoundError):
        await open_knowledge().build([tmp_path / "nowhere"])


async def test_without_documentation_the_rest_is_built_and_the_gap_is_named(
    open_knowledge: Opener, documents: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    base = open_knowledge(documentation=None)
    report = await base.build([documents])
    assert "npm" in report.problems["dolphindb function documentation"]
    assert await titles(base, "flamingo") == ["flamingo.md"]


async def test_a_chinese_comment_in_an_english_script_is_found(open_knowledge: Opener, documents: Path):
    script = "module factor\n\n// 计算动量因子\ndef momentum(x, n) { return x \\ move(x, n) - 1 }\n"
    (documents / "factor.dos").write_text(script, "utf-8")
    base = open_knowledge()
    await base.build([documents])
    first = (await base.search("动量因子", 1))[0]
    assert (first.headings, first.first_line, first.last_line) == (("factor", "momentum"), 3, 4)


async def test_pages_of_documentation_that_is_gone_stay(
    open_knowledge: Opener, documents: Path, monkeypatch: pytest.MonkeyPatch
):
    await open_knowledge().build([documents])
    monkeypatch.setenv("PATH", "")
    base = open_knowledge(documentation=None)
    assert not (await base.build()).changed
    (documents / "heron.md").write_text("# Heron\nThe heron desk trades amber.\n", "utf-8")
    report = await base.build()
    assert report.changed
    assert report.counts["function"] == 34
    assert "npm" in report.problems["dolphindb function documentation"]
    assert "The pages that the index has stay." in report.problems["dolphindb function documentation"]
    assert (await base.search("moving average", 1))[0].function == "mavg"
    assert await titles(base, "heron amber") == ["heron.md"]


async def test_pages_that_another_version_read_are_not_given_up_for_none(
    open_knowledge: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await open_knowledge().build()
    (manifest,) = (tmp_path / "data/knowledge/generations").glob("*/manifest.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "reading": "other"}))
    monkeypatch.setenv("PATH", "")
    base = open_knowledge(documentation=None)
    with pytest.raises(DocumentationUnavailableError):
        await base.build()
    assert (await base.search("moving average", 1))[0].function == "mavg"


async def test_documentation_is_fetched_by_npm_once(
    open_knowledge: Opener, documentation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w:gz") as package:
        for name in ("docs.en.json", "docs.zh.json"):
            package.add(documentation / name, f"package/{name}")
    calls = tmp_path / "calls"
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncp {archive} "$4/dolphindb-3.1.48.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    report = await open_knowledge(documentation=None).build()
    assert report.counts["function"] == 34
    assert not (await open_knowledge(documentation=None).build()).changed
    assert calls.read_text().splitlines() == [calls.read_text().splitlines()[0]]
    assert calls.read_text().startswith("pack dolphindb@3.1.48 --pack-destination")


async def test_why_npm_failed_is_told(open_knowledge: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        "#!/bin/sh\necho 'npm error code E404\nnpm error 404 Not Found.\nnpm error A complete log of' >&2\nexit 1\n"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    report = await open_knowledge(documentation=None).build()
    assert "npm could not fetch dolphindb@3.1.48: 404 Not Found. Check" in str(report.problems)


async def test_a_shared_cache_that_cannot_be_written_is_done_without(
    open_knowledge: Opener, documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    report = await open_knowledge(documentation=None, cache_dir=in_the_way / "cache").build([documents])
    assert list(report.problems) == ["dolphindb function documentation"]
    assert (tmp_path / "data/cache").is_dir()


async def test_killed_in_the_middle_the_old_index_answers(
    open_knowledge: Opener, documents: Path, documentation: Path, tmp_path: Path
):
    base = open_knowledge()
    await base.build([documents])
    (documents / "heron.md").write_text("# Heron\nThe heron desk trades amber.\n", "utf-8")
    for stage in ("reading", "indexing"):
        builder = start_builder(tmp_path / "data", documentation, documents, stage=stage)
        try:
            assert builder.stdout is not None
            assert builder.stdout.readline() == "reached\n"
            assert await titles(base, "flamingo") == ["flamingo.md"]
            with pytest.raises(ConflictError):
                await base.build()
        finally:
            builder.send_signal(signal.SIGKILL)
            builder.wait()
            builder.stdout.close()
        assert await titles(open_knowledge(), "flamingo") == ["flamingo.md"]
        assert await titles(open_knowledge(), "heron amber") == []
    await base.build()
    assert await titles(base, "heron amber") == ["heron.md"]
    leftovers = [path for path in (tmp_path / "data/knowledge/generations").iterdir() if path.suffix == ".partial"]
    assert leftovers == []


async def test_a_full_disk_leaves_the_old_index(
    open_knowledge: Opener, documents: Path, documentation: Path, tmp_path: Path
):
    base = open_knowledge()
    await base.build([documents])
    (documents / "heron.md").write_text("# Heron\n" + "The heron desk trades amber.\n" * 50_000, "utf-8")
    builder = start_builder(tmp_path / "data", documentation, documents, limit=400_000)
    output, _ = await asyncio.to_thread(builder.communicate)
    assert builder.returncode == 7
    assert "UserError" in output
    assert "disk is full" in output
    assert await titles(open_knowledge(), "flamingo") == ["flamingo.md"]
    (documents / "heron.md").write_text("# Heron\nThe heron desk trades amber.\n", "utf-8")
    await base.build()
    assert await titles(base, "heron amber") == ["heron.md"]


async def test_queries_go_on_while_builds_replace_the_index(open_knowledge: Opener, documents: Path):
    base = open_knowledge()
    await base.build([documents])
    stop = asyncio.Event()
    answers = 0

    async def ask() -> None:
        nonlocal answers
        while not stop.is_set():
            assert await titles(base, "flamingo") == ["flamingo.md"]
            answers += 1

    asking = asyncio.create_task(ask())
    for number in range(4):
        (documents / "counter.txt").write_text(f"counter {number}\n", "utf-8")
        await open_knowledge().build()
    stop.set()
    await asking
    assert answers > 4
    assert await titles(base, "counter") == ["counter.txt"]


async def test_at_most_two_generations_stay(open_knowledge: Opener, documents: Path, tmp_path: Path):
    base = open_knowledge()
    for number in range(4):
        (documents / "counter.txt").write_text(f"counter {number}\n", "utf-8")
        await base.build([documents])
    assert len(list((tmp_path / "data/knowledge/generations").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="DDB_AGENT_DATA_DIR"), Generations(tmp_path / "file" / "knowledge").building():
        pass


def test_a_failing_build_leaves_no_folder_behind(tmp_path: Path):
    generations = Generations(tmp_path)
    with pytest.raises(UserError), generations.building(), generations.new():
        raise UserError("stop")
    assert generations.current() is None
    assert list((tmp_path / "generations").iterdir()) == []


async def test_progress_reaches_its_end(open_knowledge: Opener, documents: Path):
    seen: dict[str, tuple[int, int]] = {}
    await open_knowledge().build([documents], lambda stage, done, total: seen.update({stage: (done, total)}))
    assert set(seen) >= {"reading", "indexing"}
    assert all(done == total for done, total in seen.values())


async def test_unchanged_build_is_quick(open_knowledge: Opener, documents: Path):
    base = open_knowledge()
    await base.build([documents])
    started = time.monotonic()
    assert not (await base.build()).changed
    assert time.monotonic() - started < 1
