"""What the list of appliances can be narrowed to and ordered by, and what an appliance can be."""

FILTERS = {
    "all": "all",
    "waiting": "waiting for approval",
    "silent": "silent",
    "gaps": "with gaps",
    "refused": "refused lately",
    "revoked": "revoked so far",
}
ORDERS = {"need": "need", "name": "name", "heard": "last heard of", "lag": "lag", "new": "enrolled last"}
STATES = ("waiting", "approved", "silent", "revoked")
