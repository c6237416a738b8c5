"""Where a call goes and why: routes, weights, conditions, health; their pages."""
