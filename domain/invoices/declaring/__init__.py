"""What taxes of a stretch of time come to, for a tax return: by country, region and rate."""
