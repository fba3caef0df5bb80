"""What steps hand to one another, as types: the JSON of artifacts and of step records is written and read here."""
