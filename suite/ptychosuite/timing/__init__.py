"""Two versions side by side on one core or device, to tell which is slower."""
