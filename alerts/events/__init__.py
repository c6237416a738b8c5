"""Incidents: firing now, the history, one incident, maintenance windows, the API."""
