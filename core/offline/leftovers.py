"""Words of a question that no rule made use of, so that the answer can own up to them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_STOP_WORDS = """
expensive cover plot draw chart graph over time trend history find
a an the of for in on at to from by per each every and or with without where when which what who whose is are was
were be been do does did show me give list get find tell compute calculate please can could you i want need know
would like my our we their its it this that these those all over between within across as than then there here how
much many rows row records record entries data table tables value values number numbers into use using used only now
same again also but not no instead rather let us about any some return returns result results query run see look
display print have has had will during day days date dates time times trade trades quote quotes price prices group
grouped sorted sort order ordered first last top most least type types kind level levels overall entire whole
database dolphindb column columns field fields both respectively stock stocks symbol symbols make done just if so
them they one ones more less high low long went happened happen reading readings measured recorded observed total
excluding except other bar bars plan compare versus vs what's descending ascending desc asc
"""
_ENGLISH = frozenset(_STOP_WORDS.split())
_CHINESE = re.compile(
    "请问|请|帮我|帮忙|给我|告诉|一下|计算|统计|查询|查找|查看|求出|求|看看|显示|列出|展示|我想|想要|想|知道|需要|什么|"
    "是多少|多少|哪些|哪个|哪一|哪|怎么样|如何|情况|走势|趋势|分析|画出|绘制|画|毫米|比较|对比|进行|根据|所有"
    "|全部|之间|以及|分别|分组|汇总|记录"
    "|数据|交易|成交|"
    "表格|表|里面|里|中的|中|这个|那个|其中|现在|改成|改为|改用|换成|只要|只看|只|不要|还有|再|的话|的|了|吗"
    "|呢|吧|啊|是|有|在|"
    "每|各|个|支|条|行|笔|天|日|月|年|周|时|按|照|和|与|及|或|到|从|把|用|为|对|上|下|出|你|我|能|要|得|最|那|这|它|一|"
    "股票|价格|设备|平均|变化|结果|它们|他们|段|期间|内|后|前|多|少|大|小|高|低|[，。；：？！、（）]"
)


def leftover_words(text: str, used: Iterable[tuple[int, int]], patterns: Iterable[str]) -> list[str]:
    """Words outside the `used` places and the `patterns` that mean something and were not understood."""
    characters = list(text)
    spans = list(used)
    for pattern in patterns:
        spans += [match.span() for match in re.finditer(pattern, text, re.IGNORECASE | re.ASCII)]
    for start, end in spans:
        characters[start:end] = " " * (end - start)
    rest = "".join(characters)
    found = [word.split("'")[0] for word in re.findall(r"[A-Za-z][A-Za-z']*", rest)]
    words = [word for word in found if len(word) > 2 and word.lower() not in _ENGLISH]
    words += re.findall(r"(?<![\w.])\d[\d.:]*", rest, re.ASCII)
    chinese = [part for chunk in re.findall(r"[\u4e00-\u9fff]+", rest) for part in _CHINESE.sub(" ", chunk).split()]
    return words + [part for part in chinese if len(part) > 1]
