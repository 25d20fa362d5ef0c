"""The dialect that the server speaks: OpenAI's Images, Responses and Batch APIs for pictures."""
