"""A local stand-in for Stripe: a process of its own, started with `python -m sandbox`, reachable from loopback only.

It owns: the part of Stripe's HTTP API that Tollgate uses, with Stripe's states, refusals, idempotency, events and
signed webhook deliveries; a check of every request against the contract that the installed `stripe` package carries;
faults on request, below `/_sandbox/`; its own durable data.

It does not own: Tollgate's data, time or settings. It imports nothing of `api`, `domain`, `workers` or
`tollgate_meter`, always lives in real time, and proves shape and protocol, not Stripe's own behaviour.

Its words: document (a stored Stripe object), operation (a verb and a path of the contract), call (one request being
acted on), delivery (one event on its way to one webhook endpoint), fault (a failure ordered in advance), timer
(something that happens later, such as the settlement of a bank debit), behaviour (what a test payment method does).

Where things are: `app` (requests), `contract*` (what Stripe accepts), `store` (data), `events` and `deliveries`
(webhooks), `control` (the `/_sandbox/` endpoints), and one file for each Stripe object. A new object is a new file with
its `@operation` functions, named in `objects.py`.
"""
