"""Hosts that speak the Images API in an accent of their own: a row each, and what they can do."""
