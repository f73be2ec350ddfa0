"""The file that a backup is, of an appliance or of an aggregator: an archive of plain files under a passphrase."""
