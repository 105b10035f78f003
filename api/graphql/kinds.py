"""The kinds of meters, prices and entitlements, as the catalogue shows them."""

from enum import StrEnum

from api.graphql.enums import name_enum
from domain.subscriptions.schedule import Interval


class Aggregation(StrEnum):
    """How a meter counts."""

    COUNT = "count"
    SUM = "sum"
    MAX = "max"
    MIN = "min"
    AVERAGE = "average"
    UNIQUE_COUNT = "unique_count"
    LATEST = "latest"
    WEIGHTED_SUM = "weighted_sum"
    PERCENTILE = "percentile"
    COST = "cost"
    LEVEL = "level"


class PriceKind(StrEnum):
    """What a price is for."""

    FEE = "fee"
    USAGE = "usage"


class ChargeModel(StrEnum):
    """How a price becomes an amount."""

    FLAT = "flat"
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    PACKAGE = "package"
    PERCENTAGE = "percentage"
    GRADUATED_PERCENTAGE = "graduated_percentage"
    MATRIX = "matrix"
    DYNAMIC = "dynamic"


class EntitlementKind(StrEnum):
    """What an entitlement grants."""

    LIMIT = "limit"
    FEATURE = "feature"


name_enum(
    Aggregation,
    "Aggregation",
    "How a meter counts.",
    COUNT="One for each event.",
    SUM="The sum of its value properties.",
    MAX="The largest value of an event.",
    MIN="The smallest value of an event.",
    AVERAGE="The mean of the events' values.",
    UNIQUE_COUNT="How many different texts its value property held.",
    LATEST="The value of the event that occurred last.",
    WEIGHTED_SUM="A level times the share of the period for which it stood, added up.",
    PERCENTILE="The value at or below which a percentage of the events' values lie.",
    COST="The exact cost by the provider price list, in USD.",
    LEVEL="What is there now, such as stored bytes; carried over from period to period.",
)
name_enum(
    PriceKind,
    "PriceKind",
    "What a price is for.",
    FEE="Due for each interval, in advance.",
    USAGE="Due for each usage period, in arrears.",
)
name_enum(
    ChargeModel,
    "ChargeModel",
    "How a price becomes an amount.",
    FLAT="One amount, whatever the quantity.",
    PER_UNIT="An amount for each unit.",
    GRADUATED="Each tier's amount for the units that fall into the tier.",
    VOLUME="The amount of the one tier that holds the quantity, for all units.",
    PACKAGE="An amount for every package of units that is begun.",
    PERCENTAGE="A percentage of each event's value, with a fixed amount, allowances, a floor and a cap.",
    GRADUATED_PERCENTAGE="Each tier's percentage of the value that falls into the tier.",
    MATRIX="An amount for each unit by the values of the meter's dimensions.",
    DYNAMIC="The cost that the events carry, times a multiplier.",
)
name_enum(
    EntitlementKind,
    "EntitlementKind",
    "What an entitlement grants.",
    LIMIT="A quantity in each usage period.",
    FEATURE="Something that is there or not.",
)
name_enum(Interval, "Interval", "How often a fee is due.", MONTH="Every month.", YEAR="Every year.")
