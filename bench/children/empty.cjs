// The script that costs nothing.
