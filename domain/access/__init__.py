"""Owns who may do what: roles and their permissions, API keys, and what a bearer token says about its holder.

Does not own people: members and staff live in the identity provider, which signs their tokens. Does not look at
customers' rows: a principal carries the scope and the environment, and every slice above applies them.
Words: a principal is who asks, with its permissions resolved; a role is a named set of permissions; an API key is a
secret of the merchant's own product, stored as a keyed hash; a scope of a key is a permission it names.
"""
