"""Currencies, the least amounts that Stripe charges and the greatest that it accepts, all in minor units."""

from sandbox.errors import invalid

AMOUNT_MAX = 99_999_999
MINIMUM_DEFAULT = 50
MINIMUM_CHARGES = {
    "aed": 200,
    "brl": 50,
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1000,
}
"""Published minimums that are not 50 minor units; for currencies without one Stripe converts, here it is 50."""

CURRENCIES = frozenset(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp "
    "cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr "
    "isk jmd jpy kes kgs khr kmf krw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn "
    "nad ngn nio nok npr nzd pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std "
    "szl thb tjs top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw bhd jod kwd omr "
    "tnd".split(),
)


def currency(given: str, param: str = "currency") -> str:
    """Give the currency in lower case. Raises StripeError for one that Stripe does not know."""
    known = given.lower()
    if known not in CURRENCIES:
        raise invalid(f"Invalid currency: {given}. Stripe does not support it.", param=param)
    return known


def minimum(of: str) -> int:
    """Give the least amount that can be charged in a currency."""
    return MINIMUM_CHARGES.get(of, MINIMUM_DEFAULT)


def bounded(amount: int, param: str = "amount") -> int:
    """Pass an amount of at most eight digits, negative or not. Raises StripeError amount_too_large."""
    if abs(amount) > AMOUNT_MAX:
        raise invalid(f"Amount must be no more than {AMOUNT_MAX} minor units.", code="amount_too_large", param=param)
    return amount


def chargeable(amount: int, of: str, param: str = "amount") -> int:
    """Pass an amount that can be charged. Raises StripeError amount_too_small or amount_too_large."""
    if amount < minimum(of):
        raise invalid(
            f"Amount must be at least {minimum(of)} minor units of {of}.",
            code="amount_too_small",
            param=param,
        )
    return bounded(amount, param)
