"""A challenger: preprocessing and fit."""
