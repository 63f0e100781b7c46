"""What an archive costs as it grows: measured at some sizes, predicted for others."""
