"""OpenAI's two image APIs for imagekit: `openai-images` and `openai-responses`."""
