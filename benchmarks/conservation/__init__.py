"""Whether readings are conserved on their way: many appliances, an aggregator, and all that can go wrong between them.

`life.py` is an appliance without a radio, `network.py` what lies between it and the aggregator, `campaign.py` runs them
as processes, kills both ends and fills their disks, `check.py` compares at the end what was heard with what is stored.
"""
