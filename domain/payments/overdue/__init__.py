"""When what the gateway has left unanswered is looked at next: later each time, so that none waits behind another."""
