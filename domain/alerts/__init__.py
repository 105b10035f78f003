"""Owns the mail sent to customers: what it says, that each is sent, and that test customers are not mailed by mistake.

Does not own when something is worth a mail (the slices below stage SendNotice) nor SMTP (`adapters`). Words: a notice
is the kind of a mail; about names the row it tells of; a mail is rendered once, sealed, and sent at least once under
one Message-ID; a withheld one was meant for a test customer whom the policy does not allow to be mailed.
"""
