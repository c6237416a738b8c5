"""Any model by hand: streaming, tools, up to four side by side."""
