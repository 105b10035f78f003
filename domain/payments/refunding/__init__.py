"""Refunds: ordered by staff, sent once by a job, booked when the gateway says that the money has gone."""
