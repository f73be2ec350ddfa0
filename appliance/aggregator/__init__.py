"""The centre: takes in what appliances send, believes none of it before it is checked, and stores it once."""
