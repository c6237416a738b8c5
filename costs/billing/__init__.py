"""The billed ledger: connections to providers' billing APIs, the runs that read them, and rates of currencies."""
