"""What `manage.py doctor` looks at: each check names what is wrong and what to do about it."""
