"""The least amounts that the gateway charges."""

# In minor units, where they are not MINIMUM_DEFAULT.
MINIMUM_DEFAULT = 50
MINIMUMS = {
    "AED": 200,
    "CZK": 1_500,
    "DKK": 250,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17_500,
    "MXN": 1_000,
    "MYR": 200,
    "NOK": 300,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "THB": 1_000,
}
