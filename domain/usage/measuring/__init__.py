"""What meters measured: quantities that are read from kept totals, whatever the kind of the meter."""
