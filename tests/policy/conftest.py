"""A model's registry and ledger, for the step that loads, looks and decides."""

from support.registry_fixtures import no_run_from_outside, world

__all__ = ["no_run_from_outside", "world"]
