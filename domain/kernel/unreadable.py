"""What reading JSON that came from outside may raise."""

import msgspec

# Bytes that are no text raise none of msgspec's own errors, and neither does what is nested deeper than the stack.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
