"""Owns alerts about limits, and the mail sent to customers: what is told, that each is told once, and to whom.

Does not own what was used or allowed (`usage`, `limits`), when money is worth a mail (the slices below stage
SendNotice) nor SMTP (`adapters`). Words: an alert is raised once for a limit, period and step; a step is a threshold in
percent, or the hours left of a grace; a notice is the kind of a mail; about names the row it tells of; a mail is
rendered once, sealed, and sent at least once under one Message-ID; a withheld one was meant for a test customer whom
the policy does not allow to be mailed; a report is what the mail provider says became of it; a stopped address gets
only what must be told; a preference is what a customer wants to be told. An alert to staff tells of what the system
cannot mend by itself.
"""
