"""Sessions and users: the traces of one conversation or one person added up."""
