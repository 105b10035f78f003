"""`tollgate what-if`: every customer's usage period against another plan, without writing anything."""
