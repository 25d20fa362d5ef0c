"""OpenAI's two image APIs."""
