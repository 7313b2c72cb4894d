"""Mechanisms: which marginals are measured, and how the budget is divided among them."""
