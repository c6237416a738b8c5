"""Every call becomes a span, a cost record and a request row, journalled first, exactly once."""
