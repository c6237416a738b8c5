"""Reading other programs' files: detect the format, turn rows into what the doors take, send, resume."""
