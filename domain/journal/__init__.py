"""Owns what is written beside every change: outbox jobs, audit entries, billing events, idempotency rows, schedules.

Does not own what a job does: its handler in `workers` calls the slice above. Rows here hold ids, never personal
values. Words: an outbox job is a row first and is carried out later; an audit entry says who did what; a billing event
says what happened to a customer's money; the sealer numbers committed entries and chains their digests.
"""
