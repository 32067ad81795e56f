"""What the pages show, as plain values. No gradio here."""
