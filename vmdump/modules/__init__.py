"""Loadable modules: the loader, and an opener for each kind of module (see the protocol ``model.Opener``)."""
