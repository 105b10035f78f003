"""The use cases of changing a subscription."""
