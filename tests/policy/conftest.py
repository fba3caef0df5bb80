"""A model's registry and ledger, for the step that loads, looks and decides."""

from registry_fixtures import empty_database, material, no_run_from_outside, world

__all__ = ["empty_database", "material", "no_run_from_outside", "world"]
