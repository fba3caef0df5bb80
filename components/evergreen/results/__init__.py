"""Types of the results that steps pass to each other, with the JSON of artifacts and step records."""
