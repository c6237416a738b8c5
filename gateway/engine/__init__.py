"""What a worker does with a call: claim, provider call by the official SDKs, retries, fallbacks, frames back."""
