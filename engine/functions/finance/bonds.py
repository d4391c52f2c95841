"""Bonds: cash flows, prices, yields and durations; fractions of years."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np

from engine.arguments import boolean_argument, choice_argument, is_omitted
from engine.cast import cast, to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.numerics.bonds import FREQUENCIES, KINDS, Bond, Holding
from engine.numerics.day_counts import actual_isda, actual_isma
from engine.numerics.minima import METHODS, least
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    ArrayVector,
    Dictionary,
    Scalar,
    Table,
    Value,
    Vector,
    double,
    string,
    vector,
)

functions = Registry()

_EPOCH = date(1970, 1, 1)
_CONVENTIONS = ("Thirty360US", "ActualActualISMA", "Actual360", "Actual365", "Thirty360EU", "ActualActualISDA")

Row = dict[str, Any]


def _dates(value: Value, name: str) -> list[date]:
    converted = cast(value, Type.DATE) if isinstance(value, Scalar | Vector) else None
    days = None if converted is None else as_vector(converted)
    if days is None or days.nulls().any():
        raise CallError(f"{name} must be of type DATE, without NULLs.")
    return [_EPOCH + timedelta(days=int(day)) for day in days.data]


def _floats(value: Value, name: str) -> list[float]:
    given = to_float(as_vector(value))
    if np.isnan(given).any():
        raise CallError(f"{name} must have no NULLs.")
    return [float(number) for number in given]


def _choices(*choices: str) -> Callable[[Value, str], list[str]]:
    def read(value: Value, name: str) -> list[str]:
        column = as_vector(value)
        if column.type not in LITERAL:
            raise CallError(f"{name} must be one of {', '.join(choices)}.")
        return [choice_argument(string(text), name, choices) for text in column.strings().tolist()]

    return read


def _frequencies(value: Value, name: str) -> list[int]:
    column = as_vector(value)
    if column.type in LITERAL:
        return [FREQUENCIES[text] for text in _choices(*FREQUENCIES)(column, name)]
    numbers = [int(number) for number in _floats(column, name)]
    if not set(numbers) <= set(FREQUENCIES.values()):
        raise CallError(f"{name} must be 0, 1, 2, 4 or 12.")
    return numbers


def _rows(given: dict[str, tuple[Value, Callable[[Value, str], list[Any]]]]) -> tuple[bool, list[Row]]:
    """The arguments of each bond, scalars repeated; and whether all are scalars."""
    columns = {name: read(value, name) for name, (value, read) in given.items()}
    length = max(len(column) for column in columns.values())
    for name, column in columns.items():
        if len(column) not in (1, length):
            raise CallError(f"{name} must be a scalar or as long as the other vectors.")
    alone = all(isinstance(value, Scalar) for value, _ in given.values())
    return alone, [
        {name: column[row if len(column) > 1 else 0] for name, column in columns.items()} for row in range(length)
    ]


def _terms(
    start: Value, maturity: Value, issue: Value, coupon: Value, frequency: Value, convention: Value, kind: Value
) -> dict[str, tuple[Value, Callable[[Value, str], list[Any]]]]:
    return {
        "start": (start, _dates),
        "maturity": (maturity, _dates),
        "issuePrice": (issue, _floats),
        "coupon": (coupon, _floats),
        "frequency": (frequency, _frequencies),
        "dayCountConvention": (convention, _choices(*_CONVENTIONS)),
        "bondType": (kind, _choices(*KINDS)),
    }


def _bond(row: Row) -> Bond:
    terms = ("start", "maturity", "issuePrice", "coupon", "frequency", "dayCountConvention", "bondType")
    return Bond(*(row[name] for name in terms))


def _each(
    ctx: Context,
    benchmark: Value,
    given: dict[str, tuple[Value, Callable[[Value, str], list[Any]]]],
    measure: Callable[[Holding, Row], float],
) -> Value:
    """A number for each bond as held from its settlement."""
    choice_argument(benchmark, "benchmark", ("Excel",), "Excel")
    alone, rows = _rows(given)
    out = []
    for row in rows:
        ctx.check()
        out.append(measure(Holding.like_excel(_bond(row), row["settlement"]), row))
    return double(out[0]) if alone else vector(Type.DOUBLE, out)


@functions.builtin(
    "bondAccrInt",
    "start, maturity, issuePrice, coupon, frequency, dayCountConvention, bondType, settlement, [benchmark='Excel']",
    context=True,
)
def accrued_interest(ctx: Context, *arguments: Value) -> Value:
    """The interest of a bond accrued at a settlement."""
    terms, (settlement, *rest) = arguments[:7], arguments[7:]
    given = {**_terms(*terms), "settlement": (settlement, _dates)}
    return _each(ctx, rest[0] if rest else NOTHING, given, lambda holding, _: holding.accrued)


def _priced(
    ctx: Context, arguments: tuple[Value, ...], kinds: tuple[str, ...], measure: Callable[[Holding, Row], float]
) -> Value:
    """For functions whose arguments are those of a bond, settlement, price, priceType, [benchmark]."""
    terms, (settlement, price, kind, *rest) = arguments[:7], arguments[7:]
    given = {
        **_terms(*terms),
        "settlement": (settlement, _dates),
        "price": (price, _floats),
        "priceType": (kind, _choices(*kinds)),
    }
    return _each(ctx, rest[0] if rest else NOTHING, given, measure)


_PRICED = (
    "start, maturity, issuePrice, coupon, frequency, dayCountConvention, bondType, settlement, price, priceType,"
    " [benchmark='Excel']"
)


@functions.builtin("bondDirtyPrice", _PRICED, context=True)
def dirty_price(ctx: Context, *arguments: Value) -> Value:
    """The price of a bond with accrued interest, from its yield or its clean price."""

    def measure(holding: Holding, row: Row) -> float:
        if row["priceType"] == "YTM":
            return holding.price(row["price"])
        return float(row["price"]) + holding.accrued

    return _priced(ctx, arguments, ("YTM", "CleanPrice"), measure)


@functions.builtin("bondDuration", _PRICED, context=True, aliases=("fiDuration",))
def duration(ctx: Context, *arguments: Value) -> Value:
    """Macaulay's duration of a bond at a yield."""
    return _priced(ctx, arguments, ("YTM",), lambda holding, row: holding.by_elapsed().duration(row["price"]))


@functions.builtin("bondConvexity", _PRICED, context=True)
def convexity(ctx: Context, *arguments: Value) -> Value:
    """The convexity of a bond at a yield."""
    return _priced(ctx, arguments, ("YTM",), lambda holding, row: holding.by_elapsed().convexity(row["price"]))


@functions.builtin(
    "bondYield",
    "start, maturity, issuePrice, coupon, frequency, dayCountConvention, bondType, settlement, price, priceType,"
    " [method='newton'], [maxIter=100], [benchmark='Excel']",
    context=True,
)
def bond_yield(ctx: Context, *arguments: Value) -> Value:
    """The yield of a bond to its maturity; by the methods of minimisation only as exact as they are."""
    terms, (settlement, price, kind, *rest) = arguments[:7], arguments[7:]
    method, most, benchmark = [*rest, *[NOTHING] * 3][:3]
    given = {
        **_terms(*terms),
        "settlement": (settlement, _dates),
        "price": (price, _floats),
        "priceType": (kind, _choices("CleanPrice", "DirtyPrice")),
        "method": (
            string("newton") if is_omitted(method) else method,
            _choices("newton", "brent", "brentq", "nm", "bfgs", "lbfgs"),
        ),
        "maxIter": (double(100) if is_omitted(most) else most, _floats),
    }

    def measure(holding: Holding, row: Row) -> float:
        goal = row["price"] + (holding.accrued if row["priceType"] == "CleanPrice" else 0.0)
        if row["maxIter"] < 1:
            raise CallError("maxIter must be positive.")
        if row["method"] not in METHODS:
            return holding.rate(goal)

        def miss(point: Array) -> float:
            rate = float(point[0])
            return abs(holding.price(rate) - goal) if rate > holding.lowest_rate else np.inf

        found = least(miss, np.array([row["coupon"]]), METHODS[row["method"]], most=int(row["maxIter"]))
        return float(found.x[0])

    return _each(ctx, benchmark, given, measure)


@functions.builtin(
    "bondCashflow",
    "start, maturity, coupon, frequency, dayCountConvention, bondType, [mode='Vector']",
    context=True,
)
def cash_flow(
    ctx: Context,
    start: Value,
    maturity: Value,
    coupon: Value,
    frequency: Value,
    convention: Value,
    kind: Value,
    mode: Value = NOTHING,
) -> Value:
    """What a bond pays, as amounts or as a table with the days of payment."""
    form = choice_argument(mode, "mode", ("Vector", "Table"), "Vector")
    alone, rows = _rows(_terms(start, maturity, double(100), coupon, frequency, convention, kind))
    tables = []
    for row in rows:
        ctx.check()
        tables.append(_flow_table(_bond(row)))
    if form == "Table":
        return tables[0] if alone else AnyVector(list(tables))
    amounts = [as_vector(table.columns[3]) for table in tables]
    if alone:
        return amounts[0]
    offsets = np.cumsum([0, *(len(each) for each in amounts)])
    return ArrayVector(vector(Type.DOUBLE, np.concatenate([each.data for each in amounts])), offsets)


def _flow_table(bond: Bond) -> Table:
    days, interest, principal = bond.flows()
    return Table(
        ["paymentDate", "coupon", "notional", "total"],
        [
            vector(Type.DATE, [(day - _EPOCH).days for day in days]),
            *(vector(Type.DOUBLE, part) for part in (interest, principal, interest + principal)),
        ],
    )


@functions.builtin(
    "bondCalculator",
    "start, maturity, issuePrice, coupon, frequency, dayCountConvention, bondType, calendar, businessDayConvention,"
    " settlement, price, priceType, [calcRisk=false], [benchmark='Qeubee']",
    context=True,
)
def bond_calculator(ctx: Context, *arguments: Value) -> Value:
    """The prices, the yield and the measures of risk of a bond by the rules of the Chinese interbank market."""
    terms, (calendar, convention, settlement, price, kind, *rest) = arguments[:7], arguments[7:]
    risk = boolean_argument(rest[0] if rest else None, "calcRisk", False)
    choice_argument(rest[1] if len(rest) > 1 else None, "benchmark", ("Qeubee",), "Qeubee")
    given = {
        **_terms(*terms),
        "dayCountConvention": (
            terms[5],
            _choices("Thirty360US", "ActualActual", "Actual360", "Actual365", "Thirty360EU"),
        ),
        "calendar": (calendar, _choices("CFET")),
        "businessDayConvention": (convention, _choices("Unadjusted")),
        "settlement": (settlement, _dates),
        "price": (price, _floats),
        "priceType": (kind, _choices("YTM", "CleanPrice", "DirtyPrice")),
    }
    alone, rows = _rows(given)
    out = []
    for row in rows:
        ctx.check()
        out.append(_calculated(Holding.like_interbank(_bond(row), row["settlement"]), row, risk))
    return out[0] if alone else AnyVector(list(out))


def _calculated(holding: Holding, row: Row, risk: bool) -> Dictionary:
    if row["priceType"] == "YTM":
        rate, dirty = row["price"], holding.price(row["price"])
    else:
        dirty = row["price"] + (holding.accrued if row["priceType"] == "CleanPrice" else 0.0)
        rate = holding.rate(dirty)
    found = {
        "dirtyPrice": dirty,
        "cleanPrice": dirty - holding.accrued,
        "ytm": rate,
        "accruedInterest": holding.accrued,
    }
    if risk:
        modified = holding.modified_duration(rate)
        found |= {
            "macaulayDuration": holding.duration(rate),
            "modifiedDuration": modified,
            "convexity": holding.convexity(rate),
            "pvbp": modified * dirty / 10_000,
        }
    return Dictionary(Type.STRING, Type.ANY, {name: double(value) for name, value in found.items()}, ordered=True)


@functions.builtin("yearFrac", "dayCountConvention, start, end, [referenceStart], [referenceEnd]")
def year_fraction(
    convention: Value, start: Value, end: Value, reference_start: Value = NOTHING, reference_end: Value = NOTHING
) -> Value:
    """The years between two dates by a day count convention."""
    kinds = ("ActualActualISMA", "Actual360", "Actual365", "ActualActualISDA")
    kind = choice_argument(convention, "dayCountConvention", kinds)
    first, last = _day(start, "start"), _day(end, "end")
    if kind in ("Actual360", "Actual365"):
        return double((last - first).days / int(kind[-3:]))
    if kind == "ActualActualISDA":
        return double(actual_isda(first, last))
    period = _day(reference_start, "referenceStart"), _day(reference_end, "referenceEnd")
    if period[0] >= period[1]:
        raise CallError("referenceEnd must come after referenceStart.")
    return double(actual_isma(first, last, *period))


def _day(value: Value, name: str) -> date:
    if not isinstance(value, Scalar):
        raise CallError(f"{name} must be a DATE scalar.")
    return _dates(value, name)[0]
