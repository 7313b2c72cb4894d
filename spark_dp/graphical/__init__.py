"""Graphical models: the distribution that agrees best with noisy marginals, and rows drawn from it."""
