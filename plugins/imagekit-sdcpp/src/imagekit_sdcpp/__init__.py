"""stable-diffusion.cpp's own server for imagekit: its job API, with queue position, progress and cancel."""
