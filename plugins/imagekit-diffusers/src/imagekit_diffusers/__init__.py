"""Diffusers pipelines for imagekit: pictures made in this process, with a preview for each step."""
