"""The catalogue at the terminal: what is sold is read, tried and published as one file for each product."""
