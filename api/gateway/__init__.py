"""The LLM gateway: a reverse proxy to which an SDK is pointed by its `base_url`, and which meters what passes.

Owns: who may call (door.py), what is passed on to whom (passing.py, refusals.py), what of an answer comes back
(relay.py), and the merchant's keys, which are put in here and taken out of every reply. Does not own: metering, which
is `tollgate_meter`, and limits, which are asked for through the same routes as by any product.
"""
