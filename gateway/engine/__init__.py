"""What makes the calls: an event loop in the Celery worker `llm` takes them from the line, asks providers, answers over
frames and hands what happened to the recorder."""
