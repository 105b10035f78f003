"""Why customers leave: the ends of subscriptions that were asked for, with what was said."""
