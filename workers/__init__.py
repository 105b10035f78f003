"""Carries out what the domain staged: ARQ runs jobs whose truth is a row in Postgres.

relay offers due rows to ARQ, runner carries one out, schedule ticks recurring tasks, clock drives test clocks through
their due instants, registry names the handler of every job. Imports domain, never api.
"""
