"""Programs that show how to use this project, or how to do without it."""
