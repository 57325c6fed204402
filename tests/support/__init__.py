"""What tests of several areas share: a whole small installation in a temporary folder."""
