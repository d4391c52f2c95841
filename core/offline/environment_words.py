"""What a message wants of environments, told from its words alone."""

from __future__ import annotations

import re
from typing import Literal

from core.offline.lexicon import NUMBER

EnvironmentIntent = Literal["rent", "list_environments", "give_back", "extend", "use_environment", "write_script"]

_NOUN = r"(?:\b(?:environments?|(?:dolphin ?db )?(?:servers?|instances?))\b|环境|实例|服务器)"
HOURS = rf"({NUMBER}|\ban?\b|半)\s*(?:个)?\s*(?:more\s+)?-?(hours?|hrs?|小时|钟头|days?|天)"
CORES = rf"({NUMBER})\s*(?:个)?\s*-?\s*(?:v?cpus?|cores?|核)"
MEMORY = rf"({NUMBER})\s*-?\s*(?:GiB|GB|G)\b|({NUMBER})\s*G(?:B|iB)?\s*(?:的)?内存"
NAMED = r"(?:\b(?:named|called)\s+|命名为|名为|名叫|叫做?)\s*[`\"']?([A-Za-z0-9][\w.-]*)"
_RENT = (
    r"\b(?:rent|create|start|launch|provision|spin up|set up|make|give me|get me|i need|i want)\b|租|创建|新建|启动|开"
    r"|给我|申请|要"
)
_DATA = r"\b(?:tables?|rows?|records?|columns?|data)\b|dfs://|表(?!示)|\d\s*行|记录|数据|列(?!出)"
_PATTERNS: tuple[tuple[EnvironmentIntent, str], ...] = (
    (
        "write_script",
        r"\b(?:write|save|put|store|copy)\b.{0,40}\bscripts?\b.{0,40}\bworkspace\b|脚本.{0,12}(?:工作区|工作空间)",
    ),
    (
        "list_environments",
        r"\b(?:list|show|which|what|see)\b.{0,25}\b(?:environments|servers|instances)\b"
        r"(?=(?: (?:do i have|have i|are there|are running|i have|i rented))?[\s.?!]*$)"
        r"|(?:列出|查看|有哪些|有什么|显示|我的).{0,8}(?:环境|实例|服务器)|(?:环境|实例|服务器)(?:列表|有哪些)",
    ),
    (
        "give_back",
        r"\b(?:delete|remove|destroy|release|give back|shut down|stop|terminate|return(?= (?:the|my|this)\b))\b"
        rf".{{0,30}}{_NOUN}"
        rf"|(?:删除|删掉|释放|归还|退还|销毁|停掉|关闭).{{0,12}}{_NOUN}|把.{{0,12}}{_NOUN}.{{0,6}}(?:删|退|还|释放)",
    ),
    (
        "extend",
        rf"\b(?:extend|prolong)\b.{{0,40}}{HOURS}|\b(?:extend|prolong)\b.{{0,30}}{_NOUN}|(?:延长|续租|续期)",
    ),
    (
        "use_environment",
        rf"\b(?:use|switch(?: back)? to|go back to|work in|move to)\b.{{0,30}}{_NOUN}"
        rf"|(?:使用|切换|换到|回到|改用).{{0,12}}{_NOUN}",
    ),
    (
        "rent",
        rf"\b(?:rent|launch|provision|spin up|start|create|set up)\b.{{0,40}}{_NOUN}"
        rf"|(?:{_RENT})\s+(?:an?|another|one|a new)\b(?:\s+\S+){{0,3}}?\s+{_NOUN}"
        rf"|(?:租|创建|新建|启动|申请).{{0,20}}{_NOUN}|(?:给我|要)(?:一?[个台]|新).{{0,12}}{_NOUN}",
    ),
)


def environment_intent(text: str) -> EnvironmentIntent | None:
    """What a message wants of environments, if it is about them."""
    if _found(_DATA, text) and not _found(r"\bworkspace\b|工作区|工作空间", text):
        return None
    for intent, pattern in _PATTERNS:
        if _found(pattern, text):
            return intent
    sized = _found(CORES, text) or _found(HOURS, text)
    return "rent" if sized and _found(_RENT, text) and _found(r"dolphin ?db", text) else None


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.ASCII) is not None
