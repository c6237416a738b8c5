"""Rules: the list, the editor with its preview, the API."""
