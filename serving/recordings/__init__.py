"""Long recordings, answered in windows: what is asked for (`windows`), and the answer from the windows' (`turns`)."""
