"""The pages of the human study, for participants and operators: plain routes beside Gradio."""
