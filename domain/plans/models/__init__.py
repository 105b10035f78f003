"""Charge models: one file each, with `check` for what may be published and `rate` for what is due.

`check(definition, path)` raises DefinitionRefused with the path to the fault. `rate(definition, measured)` is exact;
a metered total below zero bills zero. A new model is a new file and a line in `domain/plans/price.py`.
"""
