"""Prepaid credit whose payment a bank takes back: withheld, given back, or forfeited."""
