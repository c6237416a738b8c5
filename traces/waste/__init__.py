"""Money that bought nothing: found once a day of a project has changed, shown per kind with the calls behind."""
