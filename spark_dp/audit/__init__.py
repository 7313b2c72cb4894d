"""Attacks on the product itself, on tables that it generates: what is promised against what can be told apart."""
