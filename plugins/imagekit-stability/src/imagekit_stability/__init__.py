"""Stability's image API for imagekit: forms in, raw bytes out."""
