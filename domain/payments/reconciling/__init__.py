"""The nightly comparison of what the gateway holds with our rows, and the report of what differs.

Words: a run is one comparison, page by page; a finding is one difference, with both values; it is healed where news was
lost and following the gateway is all there is to do, and needs a person where money would move or be written off.
"""
