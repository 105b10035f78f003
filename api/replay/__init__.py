"""Replay a recorded trace of LLM requests through the public API, as a customer's product would send it.

Owns reading the trace (`trace`), the client of the public API (`client`, `live`), and the run itself (`stage`, `run`).
It uses nothing that any other client of the API could not use.

Words: trace (a CSV file of requests), run (one trace on one number of customers, plan and model; the same run finds
its customers, clock and event ids again).
"""
