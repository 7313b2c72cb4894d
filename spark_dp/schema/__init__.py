"""What a table may hold: column types, declared domains, and the code of every value."""
