"""What a person gives: sections of the policy, bounds of numbers, functions by name, options that commands share."""
