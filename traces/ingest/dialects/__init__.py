"""One module per vocabulary a span may be written in. A new dialect is a new file here (see
registry).
"""
