"""The line of waiting calls in Redis: strict priorities with an age limit, fair between projects, bounded."""
