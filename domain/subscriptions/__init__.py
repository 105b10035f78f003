"""Owns subscriptions, their periods and their segments, and the locks that keep usage and borders apart.

Does not own what a plan costs, what was used or what is owed: `contracts` moves those together. Words: an anchor is the
instant from which all boundaries are counted; a period is a usage period, always a month; a fee period is what one
fee pays for, a month or a year; a segment is a stretch of a usage period under one plan version; the epoch counts
changes of borders; a scheduled start is a wish that is kept until its instant; a bucket is the advisory lock that a
counting flush shares and a change of a border holds alone.
"""
