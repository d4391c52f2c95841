"""Trading calendars of the node: added, changed, deleted and listed."""

from __future__ import annotations

import numpy as np

from engine.arguments import choice_argument, is_omitted, text_argument
from engine.calendars import DATE_TYPES, HOLIDAYS, NAME
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.server.accounts import require_admin
from engine.limits import check_allocation
from engine.types import Type
from engine.values import NOTHING, Array, Nothing, Scalar, Value, Vector, string, vector

functions = Registry()

# What a file of dates with years of four digits can hold.
_FIRST, _LAST = (int(np.datetime64(day).astype(np.int64)) for day in ("0001-01-01", "9999-12-31"))


def _dates(holiday: Value) -> Array:
    if not isinstance(holiday, Scalar | Vector) or holiday.type is not Type.DATE:
        raise CallError("holiday must be a vector of type DATE.")
    dates = as_vector(holiday)
    if not len(dates) or dates.nulls().any():
        raise CallError("holiday must have at least one date, and no NULLs.")
    if dates.data.min() < _FIRST or dates.data.max() > _LAST:
        raise CallError("the dates of holiday must lie in the years 1 to 9999.")
    return dates.data.astype(np.int64)


@functions.builtin("addMarketHoliday", "marketName, holiday, [dateType='holidayDate']", context=True)
def add_market_holiday(context: Context, market: Value, holiday: Value, date_type: Value = NOTHING) -> Nothing:
    """A new trading calendar: Monday to Friday except the holidays, or the trading dates alone."""
    require_admin(context, "add trading calendars")
    name = text_argument(market, "marketName")
    if not NAME.fullmatch(name):
        raise CallError(f"marketName must consist of four capital letters, not be [{name}].")
    kind = choice_argument(date_type, "dateType", DATE_TYPES, HOLIDAYS)
    context.node.calendars.add(name, kind, _dates(holiday))
    return NOTHING


@functions.builtin("updateMarketHoliday", "marketName, holiday", context=True)
def update_market_holiday(context: Context, market: Value, holiday: Value) -> Nothing:
    """Other holidays, or trading dates, in place of those of a trading calendar."""
    require_admin(context, "change trading calendars")
    context.node.calendars.update(text_argument(market, "marketName"), _dates(holiday))
    return NOTHING


@functions.builtin("deleteMarketHoliday", "marketName", context=True)
def delete_market_holiday(context: Context, market: Value) -> Nothing:
    """Forget a trading calendar and remove its file."""
    require_admin(context, "delete trading calendars")
    context.node.calendars.delete(text_argument(market, "marketName"))
    return NOTHING


@functions.builtin("listAllMarkets", "", context=True)
def list_all_markets(context: Context) -> Vector:
    """The names of the trading calendars."""
    return vector(Type.STRING, context.node.calendars.names())


@functions.builtin("getTradingCalendarType", "marketName", context=True)
def get_trading_calendar_type(context: Context, market: Value) -> Scalar:
    """`holidayDate` or `tradingDate`: what the file of a trading calendar lists."""
    return string(context.node.calendars.get(text_argument(market, "marketName")).date_type)


@functions.builtin("getMarketCalendar", "marketName, [startDate], [endDate]", context=True)
def get_market_calendar(context: Context, market: Value, start: Value = NOTHING, end: Value = NOTHING) -> Vector:
    """The trading days from one date to another; at first those of all years the calendar has dates in."""
    calendar = context.node.calendars.get(text_argument(market, "marketName"))
    first, last = calendar.span()
    first = _date(start, "startDate", first)
    last = _date(end, "endDate", last)
    if first > last:
        raise CallError("endDate must not lie before startDate.")
    check_allocation(last - first + 1, Type.DATE, context.node)
    return Vector(Type.DATE, calendar.trading_days(first, last).astype(np.int32))


def _date(value: Value, name: str, default: int) -> int:
    if is_omitted(value):
        return default
    if isinstance(value, Scalar) and value.type is Type.DATE:
        return default if value.value is None else int(value.value)
    raise CallError(f"{name} must be a scalar of type DATE.")
