"""How close two tables are. What compares with the real rows is NOT PRIVATE and for the owner only."""
