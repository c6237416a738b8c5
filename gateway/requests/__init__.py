"""The list of requests, jobs that answer later, and their webhooks."""
