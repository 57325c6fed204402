"""What is known, told as plain JSON values: read by the API, the pages and the command, changes nothing."""
