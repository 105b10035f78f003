"""The default catalogues, as data: a file per product, and the provider price list as the merchant states it.

`docs/decisions/0003-catalogue-as-data.md` says how they are changed. `source` marks who chose an amount.
"""
