"""The use cases that move a subscription, its usage and its invoice in one transaction: subscribe, cancel, close.

Does not own any table: it calls the slices below it. Words: a step carries a subscription over its next due instant;
closing a period drafts what is due at its end; finalising opens the draft after its grace; a mirror is a subscription
that Stripe bills and only metering follows; a scheduled start lies ahead and is carried out at its instant.
"""
