"""Backup and restore of an aggregator: its key, settings, certificate and database in one encrypted file, and back."""
