"""The table of tax rates at the terminal."""
