"""What kind of thing a message wants, told from its words alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from core.offline.environment_words import environment_intent
from core.offline.lexicon import NUMBER, integer
from core.offline.remembering import memory_intent

Intent = Literal[
    "script", "greeting", "capabilities", "documentation", "sample_data", "load_file", "export_file", "save_table",
    "drop", "delete_rows", "list_tables", "describe_table", "check_script", "chart", "update", "query", "remember",
    "define_term", "forget_term",
    "rent", "list_environments", "give_back", "extend", "use_environment", "write_script",
]  # fmt: skip

_PATH = r"""(?P<path>(?:/|[A-Za-z]:[\\/]|\./|~/)[^\s"'`，。；、]*\.(?:csv|txt|tsv))"""
_QUOTED_PATH = r"""(?P<quote>["'`])(?P<path>(?:/|[A-Za-z]:[\\/]|\./|~/)[^"'`\n]*\.(?:csv|txt|tsv))(?P=quote)"""
_NAME = r"`?([A-Za-z]\w*)`?"
_FENCE = re.compile(r"```[ \t]*(?:[A-Za-z]+[ \t]*\n)?(.*?)```", re.DOTALL)
_RUN = re.compile(
    r"^\s*(?:run|execute|exec|运行|执行)\s*(?:this|the following|以下|下面的?)?\s*(?:script|脚本)?\s*[:：]",
    re.IGNORECASE | re.ASCII,
)
_THEN = re.compile(
    r"\s*[,;.，；。]?\s*(?:(?:\band\s+)?\bthen\b|然后再?|接着|之后再|再(?=计算|统计|求|显示|列出|查)"
    r"|\band\s+(?=compute|calculate|show|tell|list|give|find|count|save|plot|describe)|并(?=计算|统计|求|显示"
    r"|列出|给出|保存))"
    r"\s*[,，]?\s*",
    re.IGNORECASE | re.ASCII,
)
_SELECT = re.compile(r"^\s*(?:select|exec)\s.+\sfrom\s+(?!the\b|my\b|all\b)[\x00-\x7f]+$", re.DOTALL)
_AFTER_TO = (
    rf"(?:\b(?:named|called|name it|as|into)\s+(?:a\s+|the\s+)?(?:(?:in-memory|memory|session)\s+)?(?:table\s+)?"
    rf"|(?:命名为|名为|名叫|叫做?|取名|加载为|作为|存为|成为?|为)\s*(?:内存)?(?:表)?\s*|表名(?:为|是|叫)?\s*){_NAME}"
)
_STOP_NAMES = {"a", "an", "the", "table", "csv", "it", "database", "db", "is", "follows", "sample", "memory"}

_SAMPLE_WORDS = (
    r"\b(?:samples?|examples?|demo|test|fake|synthetic|random|mock|dummy)\b|示例|样例|样本|测试|模拟|演示|随机|假数据"
)
_CREATE_WORDS = r"\b(?:create|generate|make|build|produce|give me|i need)\b|生成|创建|造|建(?!议)|来(?:一)?些|弄"


@dataclass(frozen=True)
class SampleData:
    kind: str
    name: str
    rows: int


MAX_QUESTION = 5_000
_LONG_WORD = re.compile(r"\w{300,}", re.ASCII)


def literal_script(text: str) -> str | None:
    """Script the message carries: in a fence, or after "run:"."""
    fence = _FENCE.search(text)
    if fence:
        return fence[1].strip() or None
    if _SELECT.match(text):
        return text.strip()
    run = _RUN.match(text)
    return text[run.end() :].strip() or None if run else None


def beyond_rules(text: str) -> bool:
    """Whether the patterns, whose work grows faster than the text, would take long and find nothing."""
    return len(text) > MAX_QUESTION or _LONG_WORD.search(text) is not None


def recognise(text: str) -> Intent:
    """The intent of a message; "query" for whatever is none of the others."""
    stripped = text.strip()
    if literal_script(text) is not None:
        return (
            "check_script"
            if _matches(r"\b(?:check|validate|review|optimi[sz]e|lint)\b|检查|校验|优化", text)
            else "script"
        )
    if _matches(
        r"^(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings|thanks?|thank you|你好|您好|嗨|早上好"
        r"|下午好|晚上好|在吗|谢谢)"
        r"(?: there| everyone|啊|呀)?[\s,.!！。~？?]*$",
        stripped,
    ):
        return "greeting"
    if _matches(
        r"what can you do|what do you do|who are you|what are you|how can you help|^help(?: me)?[\s.!?]*$"
        r"|your capabilities"
        r"|你能(?:做|干)|你会(?:做|什么)|你可以做|你是谁|你是什么|^帮助|有什么功能|怎么(?:使)?用你",
        stripped,
    ):
        return "capabilities"
    if beyond_rules(text):
        return "query"
    if (told := memory_intent(stripped)) is not None:
        return told
    if (about_environments := environment_intent(text)) is not None:
        return about_environments
    if documented_function(text) is not None:
        return "documentation"
    if _matches(
        r"^\s*(?:please\s+)?(?:update|alter|insert|rename|modify)\b|^\s*(?:请)?(?:把.{1,30})?(?:更新|修改|插入"
        r"|重命名)",
        text,
    ):
        return "update"
    path = file_path(text)
    if path and _matches(r"\b(?:load|import|read|open|ingest)\b|加载|导入|读取|载入|读入|打开", text):
        return "load_file"
    if path and _matches(r"\b(?:export|save|write|dump)\b|导出|保存|写入|写到|输出", text):
        return "export_file"
    if _matches(_CREATE_WORDS, text) and (
        _matches(_SAMPLE_WORDS, text) or _matches(rf"{NUMBER}\s*(?:rows?|records?|trades|quotes|条|行|笔)", text)
    ):
        return "sample_data"
    if _matches(r"\b(?:save|store|persist|write|put)\b|保存|存储|存入|存到|写入|写到|落库", text) and _matches(
        r"dfs://|\bdatabase\b|\bdb\b|数据库|库", text
    ):
        return "save_table"
    if _matches(r"\b(?:delete|remove|drop|erase)\b|删除|删掉|清空|清除|删", text):
        rows = _matches(r"\b(?:rows?|records?|where|trades of|entries|data)\b|行|记录|数据(?!库)|清空|的", text)
        whole = _matches(r"\b(?:tables?|databases?|dfs://\S+)\b|表|库|dfs://", text)
        if _matches(r"\bdrop\b|删(?:除|掉)?(?:整个|这个|该)?(?:内存)?(?:表|数据库|库)", text) and not _matches(
            r"\bwhere\b", text
        ):
            return "drop"
        if rows:
            return "delete_rows"
        return "drop" if whole else "delete_rows"
    if _matches(r"\b(?:each|every|all|the) tables?\b.{0,12}\b(?:have|has|hold)\b|(?:每张|每个|各个?)表", text):
        return "list_tables"
    if _matches(
        r"\b(?:list|show|what|which|see|display)\b.{0,30}\b(?:tables|databases|datasets)\b|\bwhat data\b"
        r"|\bdata (?:is|do you have)\b"
        r"|(?:有|列出|查看|显示|看看|展示).{0,8}(?:哪些|什么|所有|全部)?.{0,4}(?:数据表|表|数据库|库)(?:[？?。"
        r"！!\s]|$|有|都)|有(?:哪些|什么)数据",
        text,
    ) and not _matches(r"字段|列名|结构|\bcolumns?\b|\bschema\b|的列|哪些列", text):
        return "list_tables"
    if _matches(
        r"\b(?:describe|schema|structure of|columns? (?:of|in|does|are)|which columns|what columns|fields? (?:of|in)"
        r"|column types|data types)\b|\bwhat(?:'s| is) (?:in|inside)\b|\btell me about\b"
        r"|表结构|结构|字段|哪些列|什么列|列名|描述|数据类型",
        text,
    ):
        return "describe_table"
    if _matches(
        r"\b(?:plot|draw|chart|graph|visuali[sz]e)\b|画图|画出|画个|画一|绘制|图表|可视化|折线图|柱状图|散点图", text
    ):
        return "chart"
    return "query"


def parts(text: str) -> list[str]:
    """The text, or its parts where one makes something and the next asks something of it."""
    found = [part for part in _THEN.split(text) if part and part.strip()]
    makes = ("load_file", "sample_data", "rent", "use_environment", "write_script")
    if len(found) > 1 and literal_script(text) is None and all(recognise(part) in makes for part in found[:-1]):
        return [part.strip() for part in found]
    return [text]


def documented_function(text: str) -> str | None:
    """The function whose documentation is asked for."""
    patterns = (
        rf"(?:documentation|docs|help|manual|syntax|usage|signature)\s+(?:page\s+)?(?:of|for|on|about)\s+(?:the\s+)?"
        rf"(?:function\s+)?{_NAME}(?:\(\))?(?!\s+(?:table|tables|data))",
        rf"what does (?:the )?(?:function )?{_NAME}(?:\(\))? (?:function )?do\b",
        rf"how (?:do i use|to use|does|do you use) (?:the )?(?:function )?{_NAME}(?:\(\))?(?: function)?(?: "
        r"work)?\s*[?.]*$",
        rf"explain (?:the )?(?:function )?{_NAME}(?:\(\)| function)",
        rf"what is (?:the )?{_NAME}(?:\(\)| function)",
        rf"{_NAME}(?:\(\))?\s*(?:这个)?(?:函数)?\s*(?:怎么用|如何使用|的用法|的文档|的作用|用法)",
        rf"(?:函数|怎么用|如何使用|介绍一下|解释)\s*{_NAME}\s*(?:函数)?",
        rf"{_NAME}\s*函数(?:是)?(?:什么|干什么|做什么)",
    )
    for pattern in patterns:
        match = re.search(pattern, text, re.IGNORECASE | re.ASCII)
        if match and match[1].lower() not in {"the", "this", "it", "you", "table", "function"}:
            return match[1]
    return None


def file_path(text: str) -> str | None:
    match = re.search(_QUOTED_PATH, text, re.IGNORECASE) or re.search(_PATH, text, re.IGNORECASE)
    return match["path"] if match else None


def new_name(text: str) -> str | None:
    """The name the message wants a new table to have."""
    for match in re.finditer(_AFTER_TO, text, re.IGNORECASE | re.ASCII):
        if match[1].lower() not in _STOP_NAMES:
            return match[1]
    return None


def database_url(text: str) -> str | None:
    """The database the message names, as a URL."""
    match = re.search(r"dfs://\w[\w/.-]*", text)
    if match:
        return match[0].rstrip("/.")
    match = re.search(
        rf"\b(?:database|db)\s+(?:called\s+|named\s+)?{_NAME}", text, re.IGNORECASE | re.ASCII
    ) or re.search(rf"(?:数据库|库)\s*{_NAME}|{_NAME}\s*(?:数据库|库)", text)
    name = next((group for group in match.groups() if group), None) if match else None
    return f"dfs://{name}" if name and name.lower() not in {"as", "dfs", "into", "in", "to"} else None


def sample_data(text: str) -> SampleData:
    kinds = (
        ("quotes", r"\bquotes?\b|报价|行情|买卖盘|盘口"),
        (
            "timeseries",
            r"\b(?:sensors?|devices?|time ?series|iot|temperatures?|humidity|telemetry)\b|传感器|设备|时序"
            r"|物联网|温度|湿度",
        ),
        ("trades", r""),
    )
    kind = next(kind for kind, pattern in kinds if _matches(pattern, text))
    rows = re.search(
        rf"({NUMBER})\s*(?:rows?|records?|trades|quotes|entries|lines|points|条|行|笔|个)",
        text,
        re.IGNORECASE | re.ASCII,
    )
    rows = rows or re.search(r"\b(\d[\d,]{2,}(?:\s?(?:k|million))?)\b", text, re.IGNORECASE | re.ASCII)
    count = integer(rows[1]) if rows else 10_000
    return SampleData(kind, new_name(text) or kind, max(count, 1))


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.ASCII) is not None
