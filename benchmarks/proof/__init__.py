"""What a release shows for its promises, in one folder: verdicts, histories, figures, and how to repeat each."""
