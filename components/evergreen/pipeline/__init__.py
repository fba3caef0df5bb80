"""What every step of a pipeline gets, how its code is called in an image, and how a pipeline runs on this machine."""
