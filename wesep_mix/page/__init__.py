"""The page of `wesep-mix page`: pictures without Gradio, and the page itself with it."""
