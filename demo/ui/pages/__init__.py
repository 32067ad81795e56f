"""The pages of the app: layout, wiring and handlers, one file each."""
