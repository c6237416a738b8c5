"""The billing side of the simulated providers: their cost and usage APIs over one world of charges."""
