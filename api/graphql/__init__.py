"""The GraphQL schema: queries, mutations and live data, one file per concept.

Resolvers are one or two lines: they call a service and wrap its value. Every field names the permission it needs
(`permissions.py`), every refusal is a problem in the mutation's result union (`problems.py`), every list is a
connection (`paging.py`), every object reached from a list comes through a loader (`loaders.py`).
"""
