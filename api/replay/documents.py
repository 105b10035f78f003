"""The GraphQL documents of the replay, the demo and the clock commands. A test checks them against the schema."""

_PROBLEM = "... on Problem { __typename code message }"
_CLOCK = "id name state nowAt targetAt reason"
_USAGE = "subscriptions { subscriptionId cost { amount } meters { meter { key } quantity } }"

CLOCK = f"query($id: ID!) {{ testClock(id: $id) {{ {_CLOCK} }} }}"
CLOCKS = f"""query($after: String) {{
  testClocks(first: 100, after: $after) {{ nodes {{ {_CLOCK} }} pageInfo {{ hasNextPage endCursor }} }}
}}"""
CREATE_CLOCK = f"""mutation($input: CreateTestClockInput!) {{
  createTestClock(input: $input) {{ ... on TestClockCreated {{ clock {{ {_CLOCK} }} }} {_PROBLEM} }}
}}"""
ADVANCE_CLOCK = f"""mutation($input: AdvanceTestClockInput!) {{
  advanceTestClock(input: $input) {{ ... on TestClockAdvancing {{ clock {{ {_CLOCK} }} }} {_PROBLEM} }}
}}"""

FIND_CUSTOMER = f"""query($externalId: String!) {{
  customers(environment: TEST, externalId: $externalId, first: 1) {{ nodes {{ id clock {{ {_CLOCK} }} }} }}
}}"""
CUSTOMER = """query($id: ID!) {
  customer(id: $id) {
    paymentMethods { id }
    subscriptions { id status startedAt product { key } plan { key } period { start end } }
  }
}"""
CREATE_CUSTOMER = f"""mutation($input: CreateCustomerInput!) {{
  createCustomer(input: $input) {{ ... on CustomerCreated {{ customer {{ id }} }} {_PROBLEM} }}
}}"""
ATTACH_METHOD = f"""mutation($input: AttachPaymentMethodInput!) {{
  attachPaymentMethod(input: $input) {{ ... on PaymentMethodAttached {{ method {{ id }} }} {_PROBLEM} }}
}}"""
SUBSCRIBE = f"""mutation($input: SubscribeInput!) {{
  subscribe(input: $input) {{
    ... on SubscriptionStarted {{ subscription {{ id startedAt period {{ start end }} }} }} {_PROBLEM}
  }}
}}"""

USAGE = f"query($id: ID!) {{ usage(customerId: $id) {{ {_USAGE} }} }}"
USAGE_CHANGED = f"subscription($id: ID!) {{ usageChanged(customerId: $id) {{ sequence usage {{ {_USAGE} }} }} }}"
INVOICES = """query($id: ID!) {
  customer(id: $id) {
    invoices(first: 100) {
      nodes {
        id kind state total { amount } amountPaid { amount }
        lines { subscriptionId kind quantity revision period { start end } derivation }
      }
    }
  }
}"""
