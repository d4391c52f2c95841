from __future__ import annotations

import time

import pytest

from rag.analysis import split_identifier, stem, terms
from rag.foreign import ForeignNames
from rag.functions import lookup
from rag.knowledge import KnowledgeBase
from rag.lexical import LexicalIndex
from rag.lexicon import Lexicon
from rag.spelling import Speller, edit_distance


@pytest.mark.parametrize(
    ("question", "function"),
    [
        ("rolling mean of the last n rows", "mavg"),
        ("running total", "cumsum"),
        ("cancelJob", "cancelJob"),
        ("how do I call unlockUser()", "unlockUser"),
        ("creatPartitionedTable", "createPartitionedTable"),
        ("pandas shift", "prev"),
        ("np.where", "iif"),
        ("swtich time zoen", "convertTZ"),
        ("计算滑动平均", "mavg"),
        ("转置", "transpose"),
        ("前一行的值", "prev"),
        ("pandas的fillna", "nullFill"),
        ("账号被锁定", "unlockUser"),
    ],
)
async def test_first_result(built: KnowledgeBase, question: str, function: str):
    results = await built.search(question, 5)
    assert results[0].function == function


async def test_an_alias_is_one_result_with_its_names(built: KnowledgeBase):
    results = await built.search("flip", 10)
    assert results[0].function == "transpose"
    assert results[0].aliases == ("flip",)
    functions = [result.function for result in results if result.function]
    assert len(functions) == len(set(functions))
    filled = await built.search("nullFill!", 5)
    assert filled[0].function == "nullFill"
    assert "nullFill!" in filled[0].aliases


async def test_the_page_shown_is_in_the_language_of_the_question(built: KnowledgeBase):
    english, chinese = await built.search("weighted average", 1), await built.search("加权平均", 1)
    assert english[0].function == chinese[0].function == "wavg"
    assert (english[0].language, chinese[0].language) == ("en", "zh")
    assert chinese[0].url.startswith("https://docs.dolphindb.cn/zh/")


async def test_english_text_answers_a_chinese_question_by_the_learnt_lexicon(built: KnowledgeBase):
    asked = built.searcher().understand("拆分字符串")
    assert {"string", "delimiter", "cuts"} <= set(asked.english.split())
    assert asked.other[stem("string")] > 0.2


@pytest.mark.parametrize("question", ["", "   ", "?!", "的了吗"])
async def test_nothing_asked_nothing_found(built: KnowledgeBase, question: str):
    found = built.searcher().find(question)
    assert found.results == []
    assert found.confidence == 0


async def test_confidence_tells_known_from_unknown(built: KnowledgeBase):
    searcher = built.searcher()
    assert searcher.find("moving average").confidence > 0.8
    assert searcher.find("spinach lasagne recipe").confidence < 0.3


async def test_kinds_restrict(built: KnowledgeBase):
    results = built.searcher().search("average", 20, kinds=("guide",))
    assert results
    assert {result.kind for result in results} == {"guide"}


async def test_result_says_where_it_stands(built: KnowledgeBase):
    result = (await built.search("zebrafish settlement calendar", 1))[0]
    assert result.kind == "note"
    assert result.headings == ("Zebrafish settlement calendar",)
    assert result.first_line <= 3 <= result.last_line
    assert "nine holidays" in result.text


def test_lookup_suggests_for_foreign_and_misspelt_names(built: KnowledgeBase):
    searcher = built.searcher()
    assert lookup(searcher, "mavg").page is not None
    assert lookup(searcher, "MAVG").page is not None
    flip = lookup(searcher, "flip").page
    assert flip is not None
    for name, expected in [
        ("fillna", "nullFill"),
        ("shift", "prev"),
        ("cumulativeSum", "cumsum"),
        ("to_csv", "saveText"),
        ("mvag", "mavg"),
        ("np.where", "iif"),
    ]:
        found = lookup(searcher, name)
        assert found.page is None
        assert expected in found.suggestions, name


def test_identifiers_are_split_and_words_stemmed():
    assert split_identifier("createTimeSeriesEngine") == ("create", "time", "series", "engine")
    assert split_identifier("getDFSDatabases") == ("get", "dfs", "databases")
    assert {"gettabletsmeta", "tablet", "meta"} <= set(terms("getTabletsMeta"))
    assert stem("cancelled") == stem("cancels") == stem("cancel")
    assert stem("calculating") == stem("calculate") == stem("calculation")
    assert stem("summary") != stem("sum")


def test_rare_terms_weigh_more_and_long_texts_less():
    index = LexicalIndex.build(
        [
            {"text": "window price"},
            {"text": "price " + "filler " * 200 + "window"},
            {"text": "price"},
            {"name": "window"},
        ]
    )
    scores = index.score({"window": 1.0, "price": 1.0})
    assert scores[0] > scores[1] > 0
    assert scores[0] > scores[2]
    assert index.score({"window": 1.0})[3] > index.score({"window": 1.0})[0]
    assert not index.score({"unknown": 1.0}).any()


def test_index_survives_the_disk(tmp_path):
    index = LexicalIndex.build([{"text": "滑动平均 moving"}, {"text": "other"}])
    index.save(tmp_path / "index.npz")
    again = LexicalIndex.load(tmp_path / "index.npz")
    assert (again.score({"滑动": 1.0}) == index.score({"滑动": 1.0})).all()
    assert again.score({"滑动": 1.0})[0] > 0


def test_lexicon_learns_which_words_belong_together(tmp_path):
    pairs = [
        ("moving average", "滑动 平均"),
        ("moving total", "滑动 总和"),
        ("weighted average", "加权 平均"),
        ("weighted total", "加权 总和"),
    ]
    lexicon = Lexicon.learn(pairs)
    assert lexicon.english("滑动")[0].text == "moving"
    assert lexicon.chinese(stem("average"))[0].text == "平均"
    lexicon.save(tmp_path / "lexicon.tsv")
    assert Lexicon.load(tmp_path / "lexicon.tsv").english("加权") == lexicon.english("加权")
    assert Lexicon.learn([]).english("滑动") == []


def test_spelling():
    counts = {"partition": 9, "average": 5, "window": 3, "shanghai": 2, "求和": 40, "求合": 2, "任务": 30, "收益率": 9}
    speller = Speller(counts)
    assert speller.correct("partiton") == "partition"
    assert speller.correct("widnow") == "window"
    assert speller.correct("shangai") == "shanghai"
    assert speller.correct("window") is None
    assert speller.correct("banana") is None
    assert speller.sounds_like("求合") == ("求和", 40)
    assert speller.sounds_like("任物") == ("任务", 30)
    assert speller.sounds_like("收溢率") == ("收益率", 9)
    assert speller.sounds_like("求和") is None
    assert edit_distance("ab", "ba", 2) == 1


def test_names_of_other_tools_count_more_beside_the_tool():
    names = ForeignNames({"prev": ["pandas shift", "SQL LAG"], "isDuplicated": ["drop_duplicates"], "first": ["first"]})
    assert names.find("what is pandas shift here")["prev"] > 0.8
    assert names.find("drop_duplicates")["isDuplicated"] > 0.4
    assert names.find("the shift of the curve")["prev"] < 0.3
    assert names.find("no such thing") == {}


@pytest.mark.parametrize(
    "question", ["a" * 200_000, "移动" * 100_000, "f(" * 100_000, "`" * 100_000, "x" + "::y" * 60_000]
)
async def test_enormous_questions_take_no_longer_than_others(built: KnowledgeBase, question: str):
    started = time.monotonic()
    built.searcher().find(question)
    assert time.monotonic() - started < 5
