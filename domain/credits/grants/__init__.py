"""Unit grants: promotional units of a meter, given to a subscription, which usage takes before it is rated."""
