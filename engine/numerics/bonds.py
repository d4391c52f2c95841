"""Prices, yields and durations of bonds with a face value of 100."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from engine.errors import CallError, UnsupportedError
from engine.numerics.day_counts import add_months, month_end, thirty_360_eu, thirty_360_us, whole_years
from engine.values import Array

FREQUENCIES = {"Once": 0, "Annual": 1, "Semiannual": 2, "Quarterly": 4, "Monthly": 12}
KINDS = ("FixedRate", "Discount", "ZeroCoupon")

_THIRTY_360 = {"Thirty360US": thirty_360_us, "Thirty360EU": thirty_360_eu}


@dataclass(frozen=True)
class Bond:
    """`coupon` is the interest of a year on a face value of 1; `frequency` payments a year, 0 for one at the end."""

    start: date
    maturity: date
    issue_price: float
    coupon: float
    frequency: int
    convention: str
    kind: str

    def __post_init__(self) -> None:
        if self.start >= self.maturity:
            raise CallError("maturity must come after start.")

    @property
    def payment(self) -> float:
        return 100 * self.coupon / self.frequency

    def schedule(self, *, ends: bool = False) -> list[date]:
        """The beginning of the first period of interest, and the end of each; counted back from the maturity.

        The first may begin before `start`. With `ends` all are ends of months if the maturity is one.
        """
        if self.kind != "FixedRate" or not self.frequency:
            raise UnsupportedError(f"A schedule of payments of a {self.kind} bond with interest paid once")
        months, to_end = 12 // self.frequency, ends and month_end(self.maturity)
        days = [self.maturity]
        while days[-1] > self.start:
            days.append(add_months(self.maturity, -months * len(days), to_end=to_end))
        return days[::-1]

    def flows(self) -> tuple[list[date], Array, Array]:
        """The days of payment with the interest and the principal that are paid."""
        if self.kind == "Discount":
            return [self.maturity], np.zeros(1), np.array([100.0])
        if self.convention not in ("ActualActualISMA", *_THIRTY_360):
            raise UnsupportedError(f"The cash flow of a bond with {self.convention}")
        if self.kind == "ZeroCoupon":
            if self.convention != "ActualActualISMA":
                raise UnsupportedError(f"The cash flow of a ZeroCoupon bond with {self.convention}")
            return [self.maturity], np.array([self.interest_until(self.maturity)]), np.array([100.0])
        days = self.schedule()[1:]
        self.refuse_short_period("The cash flow")
        principal = np.zeros(len(days))
        principal[-1] = 100
        return days, np.full(len(days), self.payment), principal

    def refuse_short_period(self, what: str) -> None:
        if self.schedule()[0] != self.start:
            raise UnsupportedError(f"{what} of a bond whose first period is shorter than the others")

    def interest_until(self, day: date) -> float:
        """What accrues from the start to a day if nothing is paid in between, years counted from the start."""
        return 100 * self.coupon * sum(whole_years(self.start, day))

    def period(self, settlement: date, *, ends: bool = False) -> tuple[date, date, int]:
        """The beginning and the end of the period of interest a day is in, and the payments to come."""
        if not self.start <= settlement < self.maturity:
            raise CallError("settlement must be within the life of the bond.")
        days = self.schedule(ends=ends)
        place = max(number for number, day in enumerate(days) if day <= settlement)
        return days[place], days[place + 1], len(days) - 1 - place


@dataclass(frozen=True)
class Holding:
    """What a bond pays from a settlement on.

    `elapsed` is the part of the current payment that has accrued, `ahead` the part of a period to the next payment,
    `years` the time to the last payment if it is the only one: then interest is simple.
    """

    accrued: float
    payments: Array
    frequency: int
    elapsed: float
    ahead: float
    years: float

    @classmethod
    def like_excel(cls, bond: Bond, settlement: date) -> Holding:
        """As Excel's functions of securities do it, with a first period that may be shorter than the others."""
        if bond.kind != "FixedRate" or not bond.frequency:
            raise UnsupportedError(f"The Excel benchmark for a {bond.kind} bond with interest paid once")
        begin, end, count = bond.period(settlement, ends=True)
        if bond.convention == "ActualActualISMA":
            since = max(begin, bond.start)
            elapsed = (settlement - since).days / (end - begin).days
            ahead = (end - settlement).days / (end - since).days
        elif bond.convention in _THIRTY_360:
            length = 360 // bond.frequency
            left = _THIRTY_360[bond.convention](settlement, end)
            elapsed, ahead = (length - left) / length, left / length
        else:
            raise UnsupportedError(f"The Excel benchmark with {bond.convention}")
        payments = np.full(count, bond.payment)
        payments[-1] += 100
        years = ahead / bond.frequency
        return cls(bond.payment * elapsed, payments, bond.frequency, elapsed, ahead, years)

    @classmethod
    def like_interbank(cls, bond: Bond, settlement: date) -> Holding:
        """By the rules of the Chinese interbank market for ActualActual."""
        if bond.convention != "ActualActual":
            raise UnsupportedError(f"The Qeubee benchmark with {bond.convention}")
        if bond.kind == "FixedRate":
            return cls._interbank_coupons(bond, settlement)
        if not bond.start <= settlement < bond.maturity:
            raise CallError("settlement must be within the life of the bond.")
        if add_months(settlement, 12) < bond.maturity:
            raise UnsupportedError(f"The Qeubee benchmark for a {bond.kind} bond more than a year before its maturity")
        if bond.kind == "Discount":
            life = (bond.maturity - bond.start).days
            accrued, final = (100 - bond.issue_price) * (settlement - bond.start).days / life, 100.0
        else:
            accrued, final = bond.interest_until(settlement), 100 + bond.interest_until(bond.maturity)
        years = (bond.maturity - settlement).days / _year_of_interest(bond.start, settlement)
        return cls(accrued, np.array([final]), 1, 0.0, years, years)

    @classmethod
    def _interbank_coupons(cls, bond: Bond, settlement: date) -> Holding:
        begin, end, count = bond.period(settlement)
        bond.refuse_short_period("The Qeubee benchmark")
        elapsed = (settlement - begin).days / (end - begin).days
        payments = np.full(count, bond.payment)
        payments[-1] += 100
        years = (end - settlement).days / _year_of_interest(bond.start, settlement)
        return cls(bond.payment * elapsed, payments, bond.frequency, elapsed, 1 - elapsed, years)

    def by_elapsed(self) -> Holding:
        """With the time to the next payment as what is left after the accrued part, as durations have it."""
        ahead = 1 - self.elapsed
        return replace(self, ahead=ahead, years=ahead / self.frequency)

    @property
    def _periods(self) -> Array:
        return self.ahead + np.arange(len(self.payments))

    def _worth(self, rate: float) -> Array:
        """The present value of each payment."""
        if len(self.payments) == 1:
            return self.payments / (1 + rate * self.years)
        return np.asarray(self.payments * (1 + rate / self.frequency) ** -self._periods)

    @property
    def lowest_rate(self) -> float:
        """Where prices end: they are infinite there."""
        return -1 / self.years if len(self.payments) == 1 else -float(self.frequency)

    def price(self, rate: float) -> float:
        """With the accrued interest."""
        if rate <= self.lowest_rate:
            raise CallError(f"the yield must be more than {self.lowest_rate:g}.")
        return float(self._worth(rate).sum())

    def rate(self, price: float) -> float:
        """The yield to maturity at a price that includes the accrued interest."""
        from scipy import optimize

        if price <= 0:
            raise CallError("price must be positive.")
        if len(self.payments) == 1:
            return float((self.payments[0] / price - 1) / self.years)
        low, high = -0.5 * self.frequency, 1.0
        while self.price(low) < price:
            low = (low - self.frequency) / 2
        while self.price(high) > price:
            high *= 2
        return float(optimize.brentq(lambda rate: self.price(rate) - price, low, high, xtol=1e-14))

    def duration(self, rate: float) -> float:
        """Macaulay's: the mean time of the payments in years, weighted by their present value."""
        if len(self.payments) == 1:
            return self.years
        worth = self._worth(rate)
        return float(self._periods @ worth / worth.sum()) / self.frequency

    def modified_duration(self, rate: float) -> float:
        growth = 1 + rate * (self.years if len(self.payments) == 1 else 1 / self.frequency)
        return self.duration(rate) / growth

    def convexity(self, rate: float) -> float:
        """The second derivative of the price by the yield, as a share of the price."""
        if len(self.payments) == 1:
            return 2 * self.modified_duration(rate) ** 2
        worth, periods = self._worth(rate), self._periods
        return float(periods * (periods + 1) @ worth / worth.sum()) / (self.frequency + rate) ** 2


def _year_of_interest(start: date, day: date) -> int:
    """The days of the year, counted from `start`, that a day is in."""
    years, _ = whole_years(start, day)
    return (add_months(start, 12 * years + 12) - add_months(start, 12 * years)).days
