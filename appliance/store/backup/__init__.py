"""Backup and restore: all that an appliance knows in one encrypted file, and back."""
