"""Where alerts are sent: Slack, PagerDuty, Microsoft Teams, Discord, signed webhooks and a mailbox, with faults."""
