"""The dialect that the server speaks: OpenAI's Images and Responses APIs, as far as pictures go."""
