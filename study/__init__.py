"""What is executed, and what came of it: the command `study`, its profiles, results and reports."""
