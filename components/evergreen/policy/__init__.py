"""One decision out of all triggers, with its reasons."""
