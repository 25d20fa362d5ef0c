"""Google's Gemini image models for imagekit: parts with inline data, signatures kept, refusals told."""
