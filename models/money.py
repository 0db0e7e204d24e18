"""Money as whole minor units: exact, never a float."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

# ISO 4217 exponents that are not 2, among the currencies that shops use.
EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "ISK": 0, "BHD": 3, "KWD": 3, "OMR": 3, "TND": 3, "JOD": 3}
# Minor units: far beyond a sale, and a million of them stay inside 64 bits.
AMOUNT_MAX = 10**12
AMOUNT_DIGITS_MAX = 12


def exponent(currency: str) -> int:
    """Return how many decimal digits a currency has."""
    return EXPONENTS.get(currency, 2)


def to_minor(amount: Decimal | int | float | str, currency: str) -> int:
    """Return an amount in minor units, rounded half to even; ValueError where it is not a finite amount in range.

    A float is read by its shortest decimal form, so that 19.99 from JSON is 1999.
    """
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount") from None
    if not value.is_finite():
        raise ValueError(f"{amount!r} is not a finite amount")
    # Far larger ones overflow the decimal arithmetic itself, so they are refused before it.
    if value.adjusted() > AMOUNT_DIGITS_MAX:
        raise ValueError(f"{amount!r} is out of range")
    minor = value.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_EVEN)
    if abs(minor) > AMOUNT_MAX:
        raise ValueError(f"{amount!r} is out of range")
    return int(minor)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Return minor units as a decimal amount of the currency."""
    return Decimal(minor).scaleb(-exponent(currency))


def convert(minor: int, currency: str, store: str, rates: dict[str, Decimal]) -> int | None:
    """Return an amount in the store's minor units, or None where there is no rate for its currency."""
    if currency == store:
        return minor
    rate = rates.get(currency)
    if rate is None:
        return None
    return to_minor(to_decimal(minor, currency) * rate, store)
