"""The product: configuration, the stages in the order of the data, and the run that resumes."""
