"""One plugin per provider whose bill LLMLab reads (base: the contract, registry: which there are)."""
