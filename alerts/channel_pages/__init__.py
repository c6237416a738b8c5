"""The pages and the API of channels and their deliveries."""
