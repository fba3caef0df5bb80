"""Dataset profiles: computed in one pass, bounded in size, exactly mergeable, storable and comparable."""
