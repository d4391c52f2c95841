"""What words mean: aggregates, kinds of columns, units of time, numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """A kind of column: how such columns are named, and what people call them."""

    name: str
    column_names: frozenset[str]
    words: tuple[str, ...]


def _concept(name: str, column_names: str, words: str) -> Concept:
    return Concept(name, frozenset(column_names.split()), tuple(word.replace("_", " ") for word in words.split()))


CONCEPTS: tuple[Concept, ...] = (
    _concept(
        "symbol",
        "sym symbol ticker stock code security secid instrument symbols",
        "symbol sym ticker stock security instrument 股票代码 证券代码 股票 代码 证券 标的",
    ),
    _concept(
        "price",
        "price px close last closeprice lastprice tradeprice",
        "price closing_price share_price close 收盘价 成交价格 成交价 价格 股价 价位 价",
    ),
    _concept("bid", "bid bidprice", "bid bid_price 买一价 买价 买入价"),
    _concept("ask", "ask askprice offer", "ask ask_price offer 卖一价 卖价 卖出价"),
    _concept(
        "volume",
        "qty quantity volume vol size amount shares",
        "volume quantity qty vol size shares traded_volume 成交数量 成交量 交易量 数量 股数",
    ),
    _concept(
        "time",
        "ts time timestamp date datetime day tradetime tradedate month",
        "timestamp date time 日期 时间戳 时间",
    ),
    _concept("temperature", "temp temperature", "temperature temp 温度 气温"),
    _concept("humidity", "humidity hum", "humidity 湿度"),
    _concept(
        "precipitation", "precipitation precip rain rainfall", "precipitation rainfall rain 降水量 降雨量 雨量 降水"
    ),
    _concept("wind", "wind windspeed", "wind_speed wind 风速 风力"),
    _concept("weather", "weather condition", "weather 天气类型 天气"),
    _concept("device", "device sensor deviceid sensorid machine", "device sensor machine 设备 传感器 机器"),
    _concept("location", "location city place station site", "location city place station 城市 地点 位置 站点"),
)

QUALIFIERS: dict[str, tuple[str, ...]] = {
    "max": ("maximum", "max", "highest", "high", "最高", "最大"),
    "min": ("minimum", "min", "lowest", "low", "最低", "最小"),
}

AGGREGATES: dict[str, str] = {
    "avg": r"\b(?:averages?|averaged|avg|mean)\b|平均值|平均|均值|均(?=价|量)",
    "sum": r"\b(?:totals?|sums?|summed)\b(?: of)?|总和|合计|总计|求和|累计|总(?=成交|交易|量|额|降|雨|数)",
    "max": r"\b(?:max|maximum|highest|largest|biggest|greatest|peak)\b|最大值|最高值|最大|最高|最多",
    "min": r"\b(?:min|minimum|lowest|smallest|least)\b|最小值|最低值|最小|最低|最少",
    "std": r"\b(?:standard deviations?|std|stdev|stddev|volatility)\b|标准差|波动率",
    "var": r"\bvariances?\b|方差",
    "med": r"\bmedians?\b|中位数|中值",
    "last": r"\b(?:latest|most recent|current)\b|最新|最近的?(?=价)",
    "first": r"\bearliest\b|最早的?",
}

AGGREGATE_NAMES: dict[str, tuple[str, str]] = {
    "avg": ("average", "平均值"),
    "sum": ("total", "总和"),
    "max": ("maximum", "最大值"),
    "min": ("minimum", "最小值"),
    "std": ("standard deviation", "标准差"),
    "var": ("variance", "方差"),
    "med": ("median", "中位数"),
    "last": ("latest", "最新值"),
    "first": ("earliest", "最早值"),
    "count": ("count", "数量"),
}

# A superlative that says both what is measured and in which direction.
ADJECTIVES: tuple[tuple[str, str, str, str], ...] = (
    (r"\b(?:hottest|warmest)\b|最热", "temperature", "max", "max"),
    (r"\b(?:coldest|coolest)\b|最冷", "temperature", "min", "min"),
    (r"\b(?:wettest|rainiest)\b|降雨最多|雨最大", "precipitation", "max", "max"),
    (r"\bwindiest\b|风最大", "wind", "max", "max"),
    (r"\b(?:most expensive|priciest)\b|最贵", "price", "max", "max"),
    (r"\bcheapest\b|最便宜", "price", "min", "min"),
    (r"\b(?:most active|most (?:heavily )?traded|busiest)\b|最活跃", "volume", "max", "sum"),
)

UNITS: dict[str, str] = {
    "second": r"seconds?|secs?|秒钟?",
    "minute": r"minutes?|mins?|分钟",
    "hour": r"hours?|hrs?|小时",
    "day": r"days?|天|日",
    "week": r"weeks?|周|星期",
    "month": r"months?|个?月份?",
    "quarter": r"quarters?|季度|季",
    "year": r"years?|年度?",
}
UNIT_ADVERBS: dict[str, str] = {
    "hour": r"\bhourly\b",
    "day": r"\bdaily\b|日(?=收益|涨|均|线|k|K)",
    "week": r"\bweekly\b|周(?=收益|涨|线|k|K)",
    "month": r"\bmonthly\b|月度|月(?=收益|涨|均|线|k|K)",
    "quarter": r"\bquarterly\b",
    "year": r"\b(?:yearly|annual|annually)\b|年度|年(?=收益|涨)",
}
UNIT_NAMES: dict[str, str] = dict(zip(UNITS, ("秒", "分钟", "小时", "天", "周", "月", "季度", "年"), strict=True))

_SCALES = {"k": 1_000, "thousand": 1_000, "千": 1_000, "万": 10_000}
_SCALES |= {"million": 1_000_000, "百万": 1_000_000}
_ENGLISH = "one two three four five six seven eight nine ten"
_WORDS = {word: value for value, word in enumerate(_ENGLISH.split(), 1)} | {"twenty": 20, "hundred": 100}
_WORDS |= {word: value for value, word in enumerate("一二三四五六七八九十", 1)}
_WORDS |= {"两": 2, "二十": 20, "百": 100, "一百": 100}

NUMBER = (
    r"(?:\d[\d,]*(?:\.\d+)?(?:\s?(?:k|thousand|million|百万|千|万)(?![a-z]))?"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twenty|hundred)\b|二十|一百|[一二两三四五六七八九十百])"
)


def number(text: str) -> float:
    """The value of text that matches NUMBER: digits, a scale such as `10k` or `1万`, or a small number word."""
    text = text.strip().lower().replace(",", "")
    if text in _WORDS:
        return _WORDS[text]
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s?(\D*)", text)
    if not match:
        raise ValueError(f"{text!r} is not a number")
    return float(match[1]) * _SCALES.get(match[2], 1)


def integer(text: str) -> int:
    return int(number(text))
