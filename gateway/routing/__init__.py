"""Where calls go: the decision, what comes after a failed attempt, targets' health, and the pages of routes."""
