"""The use cases of payment methods: attach, follow what the gateway has, list. Tables and rules are one level up."""
