"""What leaves the appliance and what comes back: signed batches, receipts, and the ways between them."""
