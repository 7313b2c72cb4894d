"""The table of mistakes: what a user gets wrong, the exit code, and what the message has to say."""
