"""The words that tell what a question asks for."""

from __future__ import annotations

import re

from core.offline.lexicon import NUMBER
from core.offline.query import Kind

KINDS: tuple[tuple[Kind, str], ...] = (
    ("vwap", r"\bvwap\b|\bvolume[- ]weighted(?: average)?(?: price)?|成交量加权(?:平均)?(?:价格?)?|加权均价"),
    ("ohlc", r"\bohlc[v]?\b|\bcandle(?:stick)?s?\b|\bbars?\b|[Kk]\s?线|蜡烛图?"),
    (
        "moving",
        r"\b(?:moving|rolling|running)\b(?:[ -]window)?|\bSMA\b|\bMA(?=\s?\d)|移动|滚动|日?均线",
    ),
    ("drawdown", r"\b(?:max(?:imum)?\s+)?drawdowns?\b|最大回撤|回撤"),
    ("correlation", r"\bcorrelat\w*\b|相关(?:系数|性|关系)?"),
    (
        "total_return",
        r"\b(?:percent(?:age)?|pct)[ -]?changes?\b|\b(?:total |overall |cumulative |price )?returns?\b"
        r"|\b(?:gain(?:ed|s)?|rose|risen|fell|fallen|dropped|los[te]|perform(?:ed|ance|er|ers)?|grew|grown"
        r"|growth|changed)\b"
        r"|收益率?|回报率?|涨跌幅?|涨幅|跌幅|变化率|增长率?|上涨|下跌|[涨跌](?=得?最|了)",
    ),
)
FALLING = (
    r"\b(?:bottom|worst|lowest|smallest|least|fewest|fell|fallen|dropped|los[te]|cheapest|coldest)\b|最低|最小"
    r"|最少|最差|跌|最冷"
)
SUPERLATIVE = (
    r"\b(?:highest|largest|biggest|greatest|most|best|top|lowest|smallest|least|fewest|worst|max(?:imum)?"
    r"|min(?:imum)?)\b"
    r"|最高|最大|最多|最低|最小|最少|最好|最差|最(?=[涨跌])"
)
TOP = (
    rf"\b(?:top|best|bottom|worst|highest|largest|biggest|lowest|smallest|most)\s+({NUMBER})\b(?!\s*%)"
    rf"|\b({NUMBER})\s+(?=(?:most|best|worst|highest|largest|biggest|lowest|smallest|hottest|coldest|wettest"
    r"|cheapest)\b)"
    rf"|(?:排名)?前\s?({NUMBER})\s?(?:大|名|位)?(?:的)?(?:个|只|支|种|台|家)?(?!\s?(?:行|条|笔))"
    rf"|(?<=[高低大小多少热冷贵好差])的?前?\s?({NUMBER})\s?(?:个|只|支|条|笔|行|种|台|位|家|大|次|(?=天))"
)
ROWS = (
    r"\b(first|last|latest|newest|most recent|top|head|tail|show(?: me)?|sample"
    rf"|preview)\s+(?:the\s+)?(?:of\s+)?({NUMBER})?\s*"
    r"(?:rows?|records?|lines?|entries|observations)\b"
    rf"|\b(first|last|latest|newest|most recent)\s+({NUMBER})\b"
    rf"|(前|后|最后|最近|最新|末尾|开头)的?\s?({NUMBER})\s?(?:行|条|笔|个记录|条记录)"
)
SHOW = r"\b(?:show|display|preview|head|peek|sample|look at|see)\b|显示|查看|看看|看一下|预览|展示|列出"
COUNT = (
    r"\bhow many(?!\s+(?:percent))\b|\bcount(?:s|ing)?(?: of)?\b|\bnumber of\b|\brow ?counts?\b"
    r"|多少(?=行|条|笔|只|个|天|次|支|种|台|家)|[几](?=行|条|笔|只|个|天|次|支|种|台|家)|行数|条数|笔数|记录数"
    r"|个数|天数|计数|总数"
)
DISTINCT = r"\b(?:distinct|unique|different)\b|去重|(?:哪些|多少(?:只|个|种|支)?)不同的?|种类"
ROW_NOUN = re.compile(r"\s*(?:of\s+)?(?:the\s+)?(?:rows?|records?|entries|行|条|笔)", re.IGNORECASE | re.ASCII)
RAW_NAME = (
    r"(?:\bcolumn\s+|\bfield\s+|列\s*|字段\s*)[\"'`]?([A-Za-z]\w*)[\"'`]?"
    r"|[\"'`]?([A-Za-z]\w*)[\"'`]?\s*(?:\bcolumn\b|这?一?列|字段)"
    r"|(?<![\w/.:])([A-Za-z][A-Za-z0-9]*_\w+)\b"
)


SPAN = (
    r"\b(?:date|time)s? (?:range|span|period|coverage)\b|\bfirst and last (?:date|day|time)s?\b|\b(?:what"
    r"|which) (?:dates|period)\b"
    r"|时间范围|日期范围|起止(?:时间|日期)|时间跨度"
)
RANGE = r"\branges?\b|极差|价格区间"
SORTED = (
    r"\b(?:sort|order)(?:ed)?(?: it| them)? by\s+(?:the\s+)?(.{1,40}?)(?:\s+(?:in\s+)?(desc|asc)(?:ending)?(?: "
    r"order)?)?\s*[.?]?$"
)
# What follows `by` where it is no column: for the server to judge, too.
RAW_GROUP = (
    r"\b(?<!sorted )(?<!ordered )(?<!sort )(?<!order )(?:group(?:ed)? by|by"
    r"|per)\s+(?:the\s+)?([A-Za-z]\w+)\b(?!-)"
)
NO_NAMES = frozenset({"the", "a", "an", "which", "each", "every", "this", "that", "its", "their", "name", "total"})
COMPARED = r"\b(?:compare|versus|vs|more|less|higher|lower|cheaper|pricier|than|differences?)\b|对比|比较|比|更"
JOINED = r"\s*(?:,|，|、|and|和|与|及)\s*(?:the\s+)?"
