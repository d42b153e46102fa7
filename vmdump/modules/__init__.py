"""The openers of loadable modules, a file for each kind of module; ``vmdump.modules.loader`` says what an opener is."""
