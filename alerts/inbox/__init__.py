"""The bell, what each person wants to hear, digests, live hints."""
