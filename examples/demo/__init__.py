"""The made-up company behind the demo: its agents, a month of their history, and live traffic."""
