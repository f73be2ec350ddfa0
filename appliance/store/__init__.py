"""Keeps what was heard: the ledger in memory, the database on the card, and the one writer between them."""
