"""Files and batches at providers, passed through: whose they are, what they may cost, what they did."""
